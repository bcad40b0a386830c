"""What wakes a loop that waits with a selector: signals, a word from another thread, the end of the instance's owner."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

RELEASE = b"release\n"


class Wakeup:
    """A socket that is readable after a signal, or a word from another thread; to be made in the main thread."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._pending: set[int] = set()
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            # Without a handler, and with one inherited that ignores it, nothing would be written.
            signal.signal(number, lambda number, _frame: self._pending.add(number))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def wake(self) -> None:
        with suppress(BlockingIOError):  # it is readable already
            self._writer.send(b"\0")

    def drain(self) -> set[int]:
        """The signals that have come since the last time."""
        with suppress(BlockingIOError):
            while self.reader.recv(4096):
                pass
        found = set(self._pending)
        self._pending -= found
        return found


class Owner:
    """A command that holds the other end of a socket: when that ends without a word, so does the instance.

    To be asked by the loop's thread alone, except for `watched` and `release`.

    Args:
        descriptor: of the socket; None where nobody owns the instance.
        selector: what the loop waits with.
    """

    def __init__(self, descriptor: int | None, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._stream: socket.socket | None = None
        self._said = b""
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
            self._stream = socket.socket(fileno=descriptor)
            self._stream.setblocking(False)
            selector.register(self._stream, selectors.EVENT_READ)
        self.watched = descriptor is not None

    def release(self) -> None:
        """Its end means nothing any more."""
        self.watched = False  # the loop lets go of the socket; other threads decide only what it means

    def has_ended(self) -> bool:
        """Whether it is gone, and had not released the instance."""
        while self.watched:
            try:
                data = self._stream.recv(4096) if self._stream else b""
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self.let_go()
                return self.watched  # asked again: it may have been released meanwhile, and closed after that
            self._said = (self._said + data)[-4096:]
            if RELEASE in self._said:
                self.release()
        self.let_go()
        return False

    def let_go(self) -> None:
        """Closes the socket when nothing more is expected from it: it would be readable for ever."""
        if self._stream is not None:
            self._selector.unregister(self._stream)
            self._stream.close()
            self._stream = None
