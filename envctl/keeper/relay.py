"""A TCP relay: what arrives at one address goes on to another, as fast as the slower side takes it, half-closes and resets too."""

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
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Relay:
    """Listens from the moment it is made; one thread passes on for all its connections.

    Raises:
        OSError: it cannot listen there.
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
        """Nobody can connect any more, and whoever listens there next is not hindered; connections that are there go on."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._listening.close()
        self._closed = True
        self._waker.send(b"\0")

    def _connect(self, client: socket.socket) -> None:
        """In a thread of its own: names take time, and so do hosts that do not answer."""
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
    """One of the two connections, and what was read from it and is not yet written to the other."""

    other: _Side

    def __init__(self, pair: _Pair, stream: socket.socket) -> None:
        self.pair, self.stream = pair, stream
        self.held = memoryview(b"")
        self.finished = False
        """Nothing more comes from it."""
        self.ended = False
        """And the other side was told."""
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
        """Hands on what is held, as far as the other side takes it."""
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
    """Gives each connection to *serve*, in a thread of its own, until *listening* is closed."""
    while listening.fileno() >= 0:
        try:
            client, _ = listening.accept()
        except OSError:  # it is being closed, or there are no descriptors for now
            time.sleep(PAUSE)
            continue
        try:
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        except RuntimeError:  # no threads for now
            reset(client)


def reset(stream: socket.socket) -> None:
    """So that a broken connection does not look like a finished one."""
    with suppress(OSError):  # it is broken already
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()
