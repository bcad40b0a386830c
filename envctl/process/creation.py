"""What has been asked of an engine and is not there yet: nothing may be removed before that, or it would appear afterwards.

An interrupt leaves threads behind (`envctl.process.threads`), and they go on creating while the main thread begins to tear down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from envctl.errors import EnvctlError
from envctl.process.threads import begun


class TearingDown(EnvctlError):
    """Nothing may be created any more. The command is ending: nobody reads this error."""


class InFlight:
    """The creations of one command that are under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False
        self._first: Future[object] | None = None
        self.created = False
        """Whether anything was asked of an engine."""

    def begin_with(self, function: Callable[[], object], name: str) -> None:
        """Calls *function* in a thread of its own: until it has returned, nothing else is created, and it is under way itself."""
        self._enter()

        def called() -> object:
            try:
                return function()
            finally:
                self._leave()

        self._first = begun(called, name)

    def await_first(self) -> None:
        """Returns when what `begin_with` was called with has; raises what that has raised."""
        if self._first is not None:
            self._first.result()

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Around whatever makes something appear at an engine.

        Raises:
            TearingDown: `settle` was called.
            Exception: what comes first (`begin_with`) has failed.
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
        """Nothing new is begun from now on; whether what is under way has ended within *patience* seconds."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._under_way, patience)
