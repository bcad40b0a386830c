"""The command line of the mail server."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Mapping, Sequence

from ..stub.server import listen, serve
from .inbox import Inbox, Stored
from .smtp import Credentials, serve_smtp
from .web import Web


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Serve both sides until the process ends; 1 where an address cannot be had."""
    options = _parser().parse_args(arguments)
    try:
        smtp, page = listen(options.host, options.smtp_port), listen(options.host, options.web_port)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host}: {error}", file=sys.stderr)
        return 1
    log = _Log()
    inbox = Inbox(lambda message: log.write(_line(message)))
    web = Web(inbox, smtp.getsockname()[1], _credentials(environ, "WEB"))
    threading.Thread(target=serve, args=(page, web.answer), daemon=True).start()
    log.write(f"listening on {options.host}: SMTP {smtp.getsockname()[1]}, web {page.getsockname()[1]}")
    serve_smtp(smtp, inbox, _credentials(environ, "INCOMING"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mail", description="An SMTP server that keeps what it gets, with MailDev's HTTP API.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--smtp-port", type=int, default=1025, help="0 is any free one (default: %(default)s)")
    parser.add_argument("--web-port", type=int, default=1080, help="0 is any free one (default: %(default)s)")
    return parser


def _credentials(environ: Mapping[str, str], side: str) -> Credentials | None:
    name, password = environ.get(f"MAILDEV_{side}_USER"), environ.get(f"MAILDEV_{side}_PASS")
    return Credentials(name, password) if name and password else None


def _line(message: Stored) -> str:
    recipients = ", ".join(recipient["address"] for recipient in message.envelope["to"])
    line = f"message {message.id}: {message.envelope['from']['address']} -> {recipients}: {message.document.get('subject', '')}"
    return "".join(letter if letter.isprintable() else "?" for letter in line)


class _Log:
    """Whole lines on stdout from two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Print a line at once, whatever the encoding of stdout, and whether or not somebody reads it."""
        with self._lock, contextlib.suppress(OSError):
            sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "replace"))
            sys.stdout.buffer.flush()
