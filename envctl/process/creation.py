"""Track creations that an engine has not finished yet: removal must wait for them, or their results would appear afterwards.

An interrupt leaves threads behind (`envctl.process.threads`), and they go on creating while the main thread begins to remove.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from envctl.errors import EnvctlError
from envctl.process.threads import begun


class TearingDown(EnvctlError):
    """Nothing may be created any more, since the command is ending. The error is never shown."""


class InFlight:
    """The unfinished creations of one command."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False
        self._first: Future[object] | None = None
        self.created = False
        """Whether an engine was asked to create anything."""

    def begin_with(self, function: Callable[[], object], name: str) -> None:
        """Call *function* in its own thread. It counts as an unfinished creation, and no other creation begins before it has returned."""
        self._enter()

        def called() -> object:
            try:
                return function()
            finally:
                self._leave()

        self._first = begun(called, name)

    def await_first(self) -> None:
        """Wait until the function of `begin_with` has returned, and raise its exception if it failed."""
        if self._first is not None:
            self._first.result()

    @contextmanager
    def creating(self) -> Iterator[None]:
        """A context manager for every call that makes something appear at an engine.

        Raises:
            TearingDown: `settle` was called.
            Exception: the function of `begin_with` has failed.
        """
        self.await_first()
        self._enter()
        self.created = True
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._changed:
            if self._closed:
                raise TearingDown("it is being torn down")
            self._under_way += 1

    def _leave(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def settle(self, patience: float) -> bool:
        """Prevent new creations; return whether the unfinished ones end within *patience* seconds."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._under_way, patience)
