"""A TCP relay: forward connections from one address to another, including half-closes and resets, at the speed of the slower side."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

CHUNK = 1 << 16
CONNECT_TIMEOUT, PAUSE = 10.0, 0.1
"""Seconds to wait for the target to accept a connection, and to wait after `accept` has failed."""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Relay:
    """A relay that listens as soon as it is created. One thread forwards the data of all its connections.

    Args:
        listen: the host and the port to listen on; port 0 is any free one.
        to: the host and the port of the target.

    Attributes:
        port: the port on which the relay listens.

    Raises:
        OSError: the relay cannot listen there.
    """

    def __init__(self, listen: tuple[str, int], to: tuple[str, int]) -> None:
        self._listening = socket.create_server(listen, family=socket.AF_INET6 if ":" in listen[0] else socket.AF_INET)
        self.port: int = self._listening.getsockname()[1]
        self._to, self._closed = to, False
        self._ready: deque[_Pair] = deque()
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, READ)
        threading.Thread(target=accept, args=(self._listening, self._connect), daemon=True).start()
        threading.Thread(target=self._pass_on, daemon=True).start()

    def close(self) -> None:
        """Stop listening and free the port for others. Open connections continue."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in `accept`
        self._listening.close()
        self._closed = True
        self._waker.send(b"\0")

    def _connect(self, client: socket.socket) -> None:
        """Connect a client to the target. Runs in its own thread, as a name lookup or a silent host takes time."""
        try:
            server = socket.create_connection(self._to, CONNECT_TIMEOUT)
        except OSError:
            reset(client)
            return
        self._ready.append(_Pair(client, server))
        self._waker.send(b"\0")

    def _pass_on(self) -> None:
        while not self._closed or len(self._selector.get_map()) > 1 or self._ready:
            for key, events in self._selector.select():
                if key.data is None:
                    self._take_in()
                elif not key.data.pair.closed:
                    self._advance(key.data, events)

    def _take_in(self) -> None:
        self._woken.recv(CHUNK)
        while self._ready:
            self._watch(self._ready.popleft())

    def _advance(self, side: _Side, events: int) -> None:
        pair = side.pair
        try:
            if events & READ:
                side.read()
            if events & WRITE:
                side.other.write()
        except OSError:
            pair.close(self._selector, reset)
            return
        if all(each.ended for each in pair.sides):
            pair.close(self._selector, socket.socket.close)
        else:
            self._watch(pair)

    def _watch(self, pair: _Pair) -> None:
        for side in pair.sides:
            side.watch(self._selector)


class _Pair:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        one, other = _Side(self, client), _Side(self, server)
        one.other, other.other = other, one
        self.sides, self.closed = (one, other), False

    def close(self, selector: selectors.BaseSelector, how: Callable[[socket.socket], None]) -> None:
        self.closed = True
        for side in self.sides:
            if side.events:
                selector.unregister(side.stream)
            how(side.stream)


class _Side:
    """One of the two connections of a pair, with data that was read from it and is not yet written to the other."""

    other: _Side

    def __init__(self, pair: _Pair, stream: socket.socket) -> None:
        self.pair, self.stream = pair, stream
        self.held = memoryview(b"")
        self.finished = False
        """Whether the end of the stream was read."""
        self.ended = False
        """Whether the end of the stream was passed on to the other side."""
        self.events = 0
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> None:
        if self.finished or self.held:
            return
        try:
            data = self.stream.recv(CHUNK)
        except BlockingIOError:
            return
        self.finished = not data
        self.held = memoryview(data)
        self.write()

    def write(self) -> None:
        """Write as much of the held data as the other side accepts, then pass on the end of the stream."""
        try:
            while self.held:
                self.held = self.held[self.other.stream.send(self.held) :]
        except BlockingIOError:
            return
        if self.finished and not self.ended:
            self.ended = True
            self.other.stream.shutdown(socket.SHUT_WR)

    def watch(self, selector: selectors.BaseSelector) -> None:
        wanted = (0 if self.finished or self.held else READ) | (WRITE if self.other.held else 0)
        if wanted == self.events:
            return
        if not self.events:
            selector.register(self.stream, wanted, self)
        elif not wanted:
            selector.unregister(self.stream)
        else:
            selector.modify(self.stream, wanted, self)
        self.events = wanted


def accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """Call *serve* with each new connection, in a thread for each, until *listening* is closed."""
    while listening.fileno() >= 0:
        try:
            client, _ = listening.accept()
        except OSError:  # the socket is being closed, or the process has run out of descriptors for now
            time.sleep(PAUSE)
            continue
        try:
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        except RuntimeError:  # the system has run out of threads for now
            reset(client)


def reset(stream: socket.socket) -> None:
    """Close a connection with a TCP reset, so that the peer does not take a broken connection for a complete one."""
    with suppress(OSError):  # the connection is already broken
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()
