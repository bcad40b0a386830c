"""Start the mail server, which is configured by Mailpit's variables: `python -m envctl.servers.mail`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ..http.server import listen, say, serve
from .inbox import Inbox
from .message import Message
from .smtp import serve_smtp
from .web import Web

_MARK = b"{SSHA}"
_DIGEST = 20


def main() -> int:
    """Serve until the process is killed. Return 1 if an address is in use or a password file is unusable."""
    try:
        smtp = _listen(os.environ.get("MP_SMTP_BIND_ADDR", "127.0.0.1:1025"))
        http = _listen(os.environ.get("MP_UI_BIND_ADDR", "127.0.0.1:8025"))
        smtp_login, ui_login = (_login(os.environ.get(name)) for name in ("MP_SMTP_AUTH_FILE", "MP_UI_AUTH_FILE"))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    inbox = Inbox(_print_message)
    threading.Thread(target=serve, args=(http, Web(inbox, ui_login)), daemon=True).start()
    say(f"listening: SMTP {smtp.getsockname()[1]}, HTTP {http.getsockname()[1]}")
    serve_smtp(smtp, inbox, smtp_login)
    return 0


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return listen(host.strip("[]"), int(port))


def _login(path: str | None) -> Callable[[bytes, bytes], bool] | None:
    """Return a function that checks a user name and a password; None without a password file, as then nobody has to log in.

    Args:
        path: the password file. It has lines of `NAME:{SSHA}HASH`, as the kind writes them.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has another of Mailpit's formats.
    """
    if not path:
        return None
    lines = [line.partition(b":") for line in Path(path).read_bytes().split()]
    if not all(value.startswith(_MARK) for _, _, value in lines):
        raise ValueError(f"{path}: expected lines of NAME:{{SSHA}}HASH")
    digests = {name: base64.b64decode(value.removeprefix(_MARK)) for name, _, value in lines}

    def is_right(name: bytes, password: bytes) -> bool:
        known = digests.get(name, b"")
        return hmac.compare_digest(hashlib.sha1(password + known[_DIGEST:]).digest(), known[:_DIGEST])

    return is_right


def _print_message(message: Message) -> None:
    say(f"message {message.id}: {message.facts['From']['Address']} -> {', '.join(message.recipients)}: {message.facts['Subject']}")


if __name__ == "__main__":
    # os._exit ends the process at once: daemon threads that still run during the interpreter's shutdown can crash it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(main())
