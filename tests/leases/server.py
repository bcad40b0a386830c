"""A fake server for tests of pools and leases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from envctl.units import Driver, Size, UnitError


class Server(Driver):
    """A driver whose units are a dictionary.

    Attributes:
        units: The template of each unit, by the unit's name.
        refuses: Whether new units are refused.
        each: The size of each unit.
    """

    def __init__(self) -> None:
        self.units: dict[str, str] = {}
        self.refuses = False
        self.each = Size()
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, *_asked: object) -> Iterator[Driver]:
        yield self

    def keep(self, base: str, template: str) -> None:
        raise NotImplementedError

    def clone(self, template: str, unit: str) -> None:
        with self._lock:
            if self.refuses:
                raise UnitError("the disk is full")
            assert unit not in self.units, "handed out twice"
            self.units[unit] = template

    def size(self, unit: str) -> Size:
        return self.each

    def reset(self, template: str, unit: str) -> None:
        raise NotImplementedError

    def drop(self, unit: str) -> None:
        with self._lock:
            self.units.pop(unit, None)

    def close(self) -> None:
        """Do nothing: the fake server has no connection."""
