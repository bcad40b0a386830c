"""What has been asked of an engine and is not there yet: nothing may be removed before that, or it would appear afterwards.

An interrupt leaves threads behind (`envctl.process.threads`), and they go on creating while the main thread begins to tear down.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from envctl.errors import EnvctlError


class TearingDown(EnvctlError):
    """Nothing may be created any more; nobody is left whom that would tell anything."""


_changed = threading.Condition()
_under_way = 0
_closed = False


@contextmanager
def creating() -> Iterator[None]:
    """Around whatever makes something appear at an engine.

    Raises:
        TearingDown: `settle` was called.
    """
    global _under_way
    with _changed:
        if _closed:
            raise TearingDown("it is being torn down")
        _under_way += 1
    try:
        yield
    finally:
        with _changed:
            _under_way -= 1
            _changed.notify_all()


def settle(patience: float) -> bool:
    """Nothing new is begun from now on; whether what is under way has ended within *patience* seconds."""
    global _closed
    with _changed:
        _closed = True
        return _changed.wait_for(lambda: not _under_way, patience)


def reopen() -> None:
    """Something may be created again."""
    global _closed
    with _changed:
        _closed = False
