"""The command line of the stub."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ..http.server import listen, serve
from .journal import Journal
from .loading import MappingError, files_folders, load
from .store import Store
from .stub import Stub


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the mappings and serve them; 2 where they are wrong, 1 where the address cannot be had."""
    options = _parser().parse_args(arguments)
    routes: list[Path] = options.routes
    try:
        mappings = load(routes)
    except MappingError as error:
        print(*error.messages, sep="\n", file=sys.stderr)
        return 2
    folders = [folder for route in routes for folder in files_folders(route, route)]
    try:
        listener = listen(options.host, options.port)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    host, port = listener.getsockname()[:2]
    log = _Log()
    log.write(f"listening on {host}:{port} ({len(mappings)} mappings)")
    serve(listener, Stub(Store(mappings), Journal(), log.write, tuple(folders)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stub", description="An HTTP server that answers from WireMock mappings.")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 is any free one (default: %(default)s)")
    parser.add_argument(
        "--routes",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a mapping file, or a folder of them; may be given several times",
    )
    return parser


class _Log:
    """Whole lines on stdout from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Print a line at once, whatever the encoding of stdout, and whether or not somebody reads it."""
        with self._lock, contextlib.suppress(OSError):
            sys.stdout.buffer.write(f"{line}\n".encode())
            sys.stdout.buffer.flush()
