"""The client side of a WebSocket (RFC 6455), as far as a port forward needs it.

A client must mask the data that it sends. The mask here is four zero bytes, which is valid and leaves the data unchanged.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from email.message import Message
from http.client import parse_headers

from envctl.keeper.cluster.protocol import Refused, refusal

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
NO_MASK = b"\0\0\0\0"
BUFFER = 64 * 1024
LONGEST_LINE = LONGEST_BODY = 65536
"""The longest status line, and the longest body of an error response that is read, in bytes."""


class Ended(Exception):
    """The server has ended the WebSocket; the text is its reason.

    Attributes:
        orderly: whether the server has sent a close frame. Otherwise the data may be incomplete.
    """

    def __init__(self, words: str, orderly: bool = False) -> None:
        super().__init__(words)
        self.orderly = orderly


class Wire:
    """A connection, with TLS or without, that one thread reads while another thread writes. It owns the stream.

    OpenSSL does not allow two calls on a connection at once (https://docs.openssl.org/3.0/man7/openssl-threads/), and Python 3.13.6
    holds a lock while such a call waits. Therefore the stream never blocks, and threads wait between the calls. The system reuses the
    number of a descriptor as soon as it is closed: call `end` to wake waiting threads, and `close` only when no thread waits any more.
    """

    def __init__(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._stream, self._lock = stream, threading.Lock()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(stream, select.POLLIN)
        self._writable.register(stream, select.POLLOUT)

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        """Wait for data, read it into *buffer* and return its size; 0 at the end of the stream.

        Raises:
            OSError: the connection is broken.
        """
        while True:
            try:
                with self._lock:
                    return self._stream.recv_into(buffer)
            except (ssl.SSLWantReadError, BlockingIOError):
                self._readable.poll()
            except ssl.SSLWantWriteError:
                self._writable.poll()

    def sendall(self, data: bytes) -> None:
        """Send all data.

        Raises:
            OSError: the connection is broken.
        """
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
        """Shut the connection down, which wakes the threads that wait for it."""
        with suppress(OSError):  # the server has closed it already
            # `SSLSocket.shutdown` discards the TLS state first, so that another thread could then write unencrypted data.
            socket.socket.shutdown(self._stream, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; only when no other thread uses it."""
        self.end()
        self._stream.close()


class WebSocket(Wire):
    """An open WebSocket. One thread may send while another thread receives."""

    def __init__(self, stream: socket.socket) -> None:
        super().__init__(stream)
        self._sending = threading.Lock()
        self._owed: bytes | None = None
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def send(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send a message in one frame.

        Raises:
            OSError: the connection is broken.
        """
        size = len(payload)
        if size < 126:
            head = bytes((FINAL | opcode, MASKED | size))
        elif size < 65536:
            head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2)
        else:
            head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8)
        with self._sending:  # pongs are sent by another thread
            self.sendall(head + NO_MASK + payload)

    def _pong(self, payload: bytes) -> None:
        """Answer a ping from a new thread. The receiving thread must not wait here: the server may not read until its data is read.

        If several pings arrive, only the last one has to be answered.
        """
        waiting, self._owed = self._owed is not None, payload
        if not waiting:
            threading.Thread(target=self._pay, daemon=True).start()

    def _pay(self) -> None:
        with suppress(OSError):
            self.send(self._owed or b"", PONG)
        self._owed = None

    def receive(self) -> bytes:
        """Wait for the next message, join its fragments and return it. Pings are answered.

        Raises:
            Ended: the server has ended the WebSocket.
            OSError: the connection is broken.
        """
        parts: list[bytes] = []
        while True:
            final, opcode, payload = self._frame()
            if opcode == PING:
                self._pong(payload)
            elif opcode == CLOSE:
                raise Ended(payload[2:].decode(errors="replace"), orderly=True)
            elif opcode in (BINARY, TEXT, CONTINUED):
                parts.append(payload)
                if final:
                    return parts[0] if len(parts) == 1 else b"".join(parts)

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self._take(2))
        elif size == 127:
            size = int.from_bytes(self._take(8))
        mask = self._take(4) if second & MASKED else b""
        payload = self._take(size)
        if any(mask):
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        return bool(first & FINAL), first & 0x0F, payload

    def _take(self, size: int) -> bytes:
        """Return exactly *size* bytes, in several reads if needed."""
        held = self._end - self._start
        if held >= size:
            taken = bytes(self._view[self._start : self._start + size])
            self._start += size
            return taken
        parts = [bytes(self._view[self._start : self._end])]
        self._start = self._end = 0
        missing = size - held
        while missing:
            read = self.recv_into(self._buffer)
            if not read:
                raise Ended("")
            used = min(read, missing)
            parts.append(bytes(self._view[:used]))
            missing -= used
            self._start, self._end = used, read
        return b"".join(parts)


def open_websocket(stream: socket.socket, host: str, path: str, headers: Iterable[tuple[str, str]], protocol: str) -> WebSocket:
    """Turn an HTTP connection into a WebSocket.

    Args:
        stream: the connection, on which nothing was sent yet; the WebSocket owns it afterwards.
        host: the value of the `Host` header.
        headers: further headers.
        protocol: the subprotocol.

    Raises:
        Refused: the server does not switch to the subprotocol.
        OSError: the connection is broken.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    told = [
        ("Host", host), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Protocol", protocol), *headers,
    ]  # fmt: skip
    stream.sendall("\r\n".join([f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told), "", ""]).encode())
    status, fields = _head(stream)
    if status != 101:
        with stream.makefile("rb") as body:
            raise refusal(status, body.read(min(int(fields["Content-Length"] or 0), LONGEST_BODY)))
    accept = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()
    if fields["Sec-WebSocket-Accept"] != accept or fields["Sec-WebSocket-Protocol"] != protocol:
        raise Refused(status, "the answer is not a WebSocket of that protocol")
    return WebSocket(stream)


def _head(stream: socket.socket) -> tuple[int, Message]:
    """Read the status and the headers of a response, without a buffer: the bytes that follow already belong to frames."""
    with stream.makefile("rb", buffering=0) as reader:
        first = reader.readline(LONGEST_LINE).split()
        fields = parse_headers(reader)
    if len(first) < 2 or not first[1].isdigit():
        raise Refused(0, "the server closed the connection")
    return int(first[1]), fields
