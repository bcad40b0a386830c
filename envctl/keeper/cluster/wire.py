"""A stream that one thread reads while another writes.

OpenSSL does not take two calls on a connection at once (https://docs.openssl.org/3.0/man7/openssl-threads/), and Python 3.13.6 waits in
one with a lock held: so every call is short, and waiting happens between them. The number of a descriptor goes to the next
connection as soon as it is closed: `end` wakes whoever waits; `close` is for when nobody does any more.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress


class Wire:
    """A socket, with TLS or without, which belongs to it from then on."""

    def __init__(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._stream, self._lock = stream, threading.Lock()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(stream, select.POLLIN)
        self._writable.register(stream, select.POLLOUT)

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        while True:
            try:
                with self._lock:
                    return self._stream.recv_into(buffer)
            except (ssl.SSLWantReadError, BlockingIOError):
                self._readable.poll()
            except ssl.SSLWantWriteError:
                self._writable.poll()

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                with self._lock:
                    sent = self._stream.send(left)
                left = left[sent:]
            except (ssl.SSLWantWriteError, BlockingIOError):
                self._writable.poll()
            except ssl.SSLWantReadError:
                self._readable.poll()

    def end(self) -> None:
        with suppress(OSError):  # the other side was faster
            # An SSLSocket's own would forget its TLS first: who writes meanwhile would do so in the clear.
            socket.socket.shutdown(self._stream, socket.SHUT_RDWR)

    def close(self) -> None:
        self._stream.close()
