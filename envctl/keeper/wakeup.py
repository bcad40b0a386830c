"""A socket that is readable after a signal or a word from another thread, for a loop that waits with a selector."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from contextlib import suppress


class Wakeup:
    """To be made in the main thread."""

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
        try:
            while self.reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        found = set(self._pending)
        self._pending -= found
        return found
