"""The events that wake a loop that waits with a selector: signals, other threads, and the end of the instance's owner."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

RELEASE = b"release\n"
"""The message with which the owner lets the instance outlive it."""


class Wakeup:
    """A socket that becomes readable after a signal or a call of `wake`. Create it in the main thread.

    Args:
        signals: the signals to handle.

    Attributes:
        reader: the socket to wait for.
    """

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._pending: set[int] = set()
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            # Python writes to the socket only for signals that have a handler.
            signal.signal(number, lambda number, _frame: self._pending.add(number))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def wake(self) -> None:
        """Wake the loop; for any thread."""
        with suppress(BlockingIOError):  # the socket is already readable
            self._writer.send(b"\0")

    def drain(self) -> set[int]:
        """Empty the socket and return the signals that have arrived since the last call."""
        with suppress(BlockingIOError):
            while self.reader.recv(4096):
                pass
        found = set(self._pending)
        self._pending -= found
        return found


class Owner:
    """The command that owns the instance and holds the other end of a socket. If it ends without a release, the instance is removed.

    Only the loop's thread may use this object, except for `watched` and `release`.

    Args:
        descriptor: the keeper's end of the socket; None if the instance has no owner.
        selector: the selector with which the loop waits.

    Attributes:
        watched: whether the instance is removed when the owner ends.
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
        """Ignore the owner's end from now on."""
        self.watched = False  # only the loop's thread may close the socket

    def has_ended(self) -> bool:
        """Return whether the owner has ended without releasing the instance."""
        while self.watched:
            try:
                data = self._stream.recv(4096) if self._stream else b""
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self.let_go()
                return self.watched  # not always True: another thread may have called `release` in between
            self._said = (self._said + data)[-4096:]
            if RELEASE in self._said:
                self.release()
        self.let_go()
        return False

    def let_go(self) -> None:
        """Close the socket once its content no longer matters. A socket whose other end is closed would wake the loop without pause."""
        if self._stream is not None:
            self._selector.unregister(self._stream)
            self._stream.close()
            self._stream = None
