"""Small servers for the tests, on ports that the kernel chooses."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class Server:
    """A TCP server that calls *serve* with each connection, in a thread of its own."""

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
        with suppress(OSError):  # close() alone does not wake a thread that waits in accept()
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def asking_for_certificates(authority: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a TLS context for a server that requires client certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def joined(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes between two sockets in both directions, until both have ended."""
    back = threading.Thread(target=copied, args=(other, one), daemon=True)
    back.start()
    copied(one, other)
    back.join()


def copied(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)


class SocksProxy(Server):
    """A SOCKS5 proxy that appends the requested hosts and ports to *asked*."""

    def __init__(self, user: bytes = b"", password: bytes = b"", refusing: int = 0) -> None:
        self._login, self._refusing, self.asked = (user, password), refusing, list[tuple[str, int]]()
        super().__init__(self._lead)

    def _lead(self, client: socket.socket) -> None:
        with client.makefile("rb") as heard:
            methods = heard.read(heard.read(2)[1])
            method = 2 if self._login[0] else 0
            client.sendall(bytes([5, method if method in methods else 255]))
            if method not in methods or (method and not self._knows(client, heard)):
                return
            kind = heard.read(4)[3]
            size = {1: 4, 4: 16}.get(kind) or heard.read(1)[0]
            where, port = heard.read(size), int.from_bytes(heard.read(2))
        family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(kind)
        host = socket.inet_ntop(family, where) if family else where.decode()
        self.asked.append((host, port))
        client.sendall(bytes([5, self._refusing, 0, 3, 1]) + b"x\0\0")
        if not self._refusing:
            with socket.create_connection((host, port)) as server:
                joined(client, server)

    def _knows(self, client: socket.socket, heard: BinaryIO) -> bool:
        user = heard.read(heard.read(2)[1])
        known = (user, heard.read(heard.read(1)[0])) == self._login
        client.sendall(bytes([1, 0 if known else 1]))
        return known


@contextmanager
def socks_proxy(user: bytes = b"", password: bytes = b"", refusing: int = 0) -> Iterator[SocksProxy]:
    proxy = SocksProxy(user, password, refusing)
    try:
        yield proxy
    finally:
        proxy.close()
