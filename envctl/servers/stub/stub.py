"""The stub: its command line, its responses, and the explanation for a request that no mapping matches."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import NamedTuple

from ..http.message import Request, Response, text_response
from ..http.server import listen, say, serve
from .admin import Admin
from .expressions import match_for_all
from .journal import Entry, Journal
from .loading import MappingError, files_folders, load
from .mappings import Mapping, Store
from .patterns import Check

_ADMIN = "/__admin"
_LONGEST = 300
"""The largest number of characters of a value that an explanation shows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the mappings and serve until the process is killed. Return 2 if mappings have mistakes, 1 if the address is in use."""
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
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    host, port = listener.getsockname()[:2]
    say(f"listening on {host}:{port} ({len(mappings)} mapping{'s' * (len(mappings) != 1)})")
    application = Stub(Store(mappings), Journal(), folders)
    threading.Thread(target=serve, args=(listener, application), name="serve", daemon=True).start()
    return match_for_all()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stub", description="An HTTP server that answers from WireMock mappings.")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 is any free one (default: %(default)s)")
    routes = "a mapping file, or a folder of them; may be given several times"
    parser.add_argument("--routes", type=Path, action="append", default=[], metavar="PATH", help=routes)
    return parser


class Stub(NamedTuple):
    """The application of the stub.

    Attributes:
        store: the mappings.
        journal: the received requests.
        body_folders: the folders in which a new mapping's body file is looked up.
    """

    store: Store
    journal: Journal
    body_folders: Sequence[Path] = ()

    def admit(self, request: Request) -> None:
        """Admit every request."""

    def refusal(self, status: int, words: str) -> Response:
        """Return the response to a request that cannot be read, or for which `answer` has failed."""
        return text_response(status, f"Bad request: {words}\n" if status < 500 else f"The stub failed on this request: {words}\n")

    def answer(self, request: Request) -> Response:
        """Return the response to a request, and log it. Requests other than admin requests are added to the journal."""
        if request.path == _ADMIN or request.path.startswith(f"{_ADMIN}/"):
            response = Admin(self.store, self.journal, self.body_folders).answer(request)
            if request.path != f"{_ADMIN}/health":  # a probe sends it several times a second
                _log(request, response, "admin")
            return response
        mapping = self.store.find(request)
        response = mapping.response if mapping else text_response(404, explain_mismatch(request, self.store.all()))
        self.journal.record(Entry(request, response.status, mapping))
        _log(request, response, mapping.label if mapping else "no mapping matches")
        return response


def _log(request: Request, response: Response, remark: str) -> None:
    say(f"{request.method} {request.url} -> {response.status} ({remark})")


def explain_mismatch(request: Request, mappings: Sequence[Mapping]) -> str:
    """Return a text with the request, the closest mapping, and the differences between them."""
    lines = [f"Request was not matched: {request.method} {request.url}", ""]
    if not mappings:
        return "\n".join([*lines, "There are no mappings in this stub.", ""])
    closest = min(mappings, key=lambda mapping: _distance(mapping, request))
    title = f"{closest.name} ({closest.origin})" if closest.name and closest.origin else closest.label
    differences = [_difference(check, request) for check in closest.pattern.checks]
    return "\n".join([*lines, f"Closest mapping: {title}", *differences, ""])


def _difference(check: Check, request: Request) -> str:
    expected = f"{check.matcher.operator} {check.matcher.expected}".rstrip()
    if check.passes(request):
        return f"  matches  {check.part}: {_shortened(expected)}"
    return f"  DIFFERS  {check.part}: expected {_shortened(expected)}, got {_shortened(_found(check, request))}"


def _distance(mapping: Mapping, request: Request) -> float:
    failed = (check for check in mapping.pattern.checks if not check.passes(request))
    return sum(check.weight * (1.1 - _likeness(check, request)) for check in failed)


def _likeness(check: Check, request: Request) -> float:
    """Return the length of the common beginning of the expected and the actual text, relative to the longer one, from 0 to 1."""
    expected, found = check.matcher.expected[:_LONGEST], _found(check, request)[:_LONGEST]
    shared = sum(1 for _ in takewhile(bool, map(eq, expected, found)))
    return shared / max(len(expected), len(found), 1)


def _found(check: Check, request: Request) -> str:
    values = [value for value in check.values(request) if value is not None]
    return ", ".join(values) if values else "nothing"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
