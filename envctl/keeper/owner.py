"""The owner of an instance: a command that holds the other end of a socket. When that ends without a word, so does the instance."""

from __future__ import annotations

import os
import selectors
import socket

RELEASE = b"release\n"


class Owner:
    """To be asked by the loop's thread alone, except for `watched` and `release`.

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
