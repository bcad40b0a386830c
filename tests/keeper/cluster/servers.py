"""Servers of the tests, on ports that the kernel chooses."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Server:
    """*serve* gets each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve, self._listening = serve, socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._serve(connection)

    def close(self) -> None:
        with suppress(OSError):  # a close alone does not wake who waits for connections
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def asking_for_certificates(authority: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's side of TLS, which wants a certificate of its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
