"""Both sides of the mail server, set up by Mailpit's variables."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Mapping

from ..http.server import listen, serve
from .inbox import Inbox
from .message import Message
from .passwords import Passwords, read_passwords
from .smtp import serve_smtp
from .web import Web


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Serve until the process ends; 1 where an address or a password file cannot be had."""
    try:
        smtp = _listen(environ.get("MP_SMTP_BIND_ADDR", "127.0.0.1:1025"))
        http = _listen(environ.get("MP_UI_BIND_ADDR", "127.0.0.1:8025"))
        smtp_passwords, ui_passwords = _passwords(environ, "MP_SMTP_AUTH_FILE"), _passwords(environ, "MP_UI_AUTH_FILE")
    except (OSError, OverflowError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    inbox = Inbox(lambda message: _say(_line(message)))
    threading.Thread(target=serve, args=(http, Web(inbox, ui_passwords)), daemon=True).start()
    _say(f"listening: SMTP {smtp.getsockname()[1]}, HTTP {http.getsockname()[1]}")
    serve_smtp(smtp, inbox, smtp_passwords)
    return 0


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        return listen(host.strip("[]"), int(port))
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error}") from None


def _passwords(environ: Mapping[str, str], variable: str) -> Passwords | None:
    return read_passwords(environ[variable]) if environ.get(variable) else None


def _line(message: Message) -> str:
    to = ", ".join(message.recipients)
    line = f"message {message.id}: {message.content['From']['Address']} -> {to}: {message.content['Subject']}"
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _say(line: str) -> None:
    """A whole line at once, whatever the encoding of stdout, and whether or not somebody reads it."""
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
