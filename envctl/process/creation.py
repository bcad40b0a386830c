"""What has been asked of an engine and is not there yet: nothing may be removed before that, or it would appear afterwards.

An interrupt leaves threads behind (`envctl.process.threads`), and they go on creating while the main thread begins to tear down.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from envctl.errors import EnvctlError


class TearingDown(EnvctlError):
    """Nothing may be created any more. The command is ending: nobody reads this error."""


class InFlight:
    """The creations of one command that are under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Around whatever makes something appear at an engine.

        Raises:
            TearingDown: `settle` was called.
        """
        with self._changed:
            if self._closed:
                raise TearingDown("it is being torn down")
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def settle(self, patience: float) -> bool:
        """Nothing new is begun from now on; whether what is under way has ended within *patience* seconds."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._under_way, patience)
