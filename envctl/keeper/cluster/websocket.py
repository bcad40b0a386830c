"""The client's side of a WebSocket (RFC 6455), as much of it as a port forward needs.

A client must mask what it sends, and a mask of four zero bytes is one: then nothing has to be changed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress

from envctl.keeper.cluster.wire import Wire

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
NO_MASK = b"\0\0\0\0"
BUFFER = 64 * 1024
LONGEST_HEAD = 65536


class Ended(Exception):
    """The other side has ended it; the text is its reason. Without its word (a close frame) what came may be a part."""

    def __init__(self, words: str, orderly: bool = False) -> None:
        super().__init__(words)
        self.orderly = orderly


class Unwilling(Exception):
    """The server does not switch to the protocol."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class WebSocket:
    """One that is open; the stream is its own. One thread may send while another receives."""

    def __init__(self, stream: socket.socket, rest: bytes = b"") -> None:
        self._wire, self._sending = Wire(stream), threading.Lock()
        self._owed: bytes | None = None
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def send(self, payload: bytes, opcode: int = BINARY) -> None:
        size = len(payload)
        if size < 126:
            head = bytes((FINAL | opcode, MASKED | size))
        elif size < 65536:
            head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2)
        else:
            head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8)
        with self._sending:  # a pong comes from another thread
            self._wire.sendall(head + NO_MASK + payload)

    def _pong(self, payload: bytes) -> None:
        """By a thread of its own: who receives must not wait until the other side reads, which may wait for just that.

        Only the latest of several pings has to be answered.
        """
        waiting, self._owed = self._owed is not None, payload
        if not waiting:
            threading.Thread(target=self._pay, daemon=True).start()

    def _pay(self) -> None:
        with suppress(OSError):
            self.send(self._owed or b"", PONG)
        self._owed = None

    def receive(self) -> bytes:
        """The next message, its parts put together; pings are answered.

        Raises:
            Ended, OSError
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
        """Exactly *size* bytes; what is larger than the buffer is put together."""
        held = self._end - self._start
        if held >= size:
            taken = bytes(self._view[self._start : self._start + size])
            self._start += size
            return taken
        parts = [bytes(self._view[self._start : self._end])]
        self._start = self._end = 0
        missing = size - held
        while missing:
            read = self._wire.recv_into(self._buffer)
            if not read:
                raise Ended("")
            used = min(read, missing)
            parts.append(bytes(self._view[:used]))
            missing -= used
            self._start, self._end = used, read
        return b"".join(parts)

    def end(self) -> None:
        """For both threads; who waits is woken."""
        self._wire.end()

    def close(self) -> None:
        """When neither uses it any more."""
        self._wire.end()
        self._wire.close()


def open_websocket(stream: socket.socket, host: str, path: str, headers: Mapping[str, str], protocol: str) -> WebSocket:
    """The stream as a WebSocket.

    Raises:
        Unwilling: the server says no.
        OSError
    """
    key = base64.b64encode(os.urandom(16)).decode()
    told = {
        "Host": host, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": protocol, **headers,
    }  # fmt: skip
    stream.sendall("\r\n".join([f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]).encode())
    head, rest = _head(stream)
    status, fields = _parsed(head)
    if status != 101:
        raise Unwilling(status, _body(stream, rest, fields) or head.partition(b"\r\n")[0].decode(errors="replace"))
    accept = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()
    if fields.get("sec-websocket-accept") != accept or fields.get("sec-websocket-protocol") != protocol:
        raise Unwilling(status, "what answers is no WebSocket of that protocol")
    return WebSocket(stream, rest)


def _head(stream: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(65536)
        if not piece or len(data) > LONGEST_HEAD:
            raise Unwilling(0, "the server closed the connection")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split()
    fields = dict(line.partition(":")[::2] for line in lines)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), {
        name.lower().strip(): text.strip() for name, text in fields.items()
    }


def _body(stream: socket.socket, rest: bytes, fields: Mapping[str, str]) -> str:
    size = int(fields.get("content-length", "0") or 0)
    while len(rest) < min(size, LONGEST_HEAD) and (piece := stream.recv(65536)):
        rest += piece
    return rest.decode(errors="replace").strip()
