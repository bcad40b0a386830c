"""Drivers that stay open between two uses: to connect takes longer than what is done then."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from envctl.units import Driver, UnitError, connected, opened

T = TypeVar("T")


class Connections:
    """Of one process, which ends with them; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Driver]] = {}

    def use(self, driver: str, properties: Mapping[str, Any], work: Callable[[Driver], T]) -> T:
        """What *work* gives, over a driver that nobody else uses meanwhile.

        It is done again where a driver that was kept fails: its server may have been started anew since.

        Raises:
            UnitError: as `opened` does, and what *work* raises.
        """
        key = f"{driver} {json.dumps(properties, sort_keys=True, default=str)}"
        with self._lock:
            kept = self._idle[key].pop() if self._idle.get(key) else None
        if kept is not None:
            with suppress(UnitError):
                return self._tried(key, kept, work)
        return self._tried(key, connected(driver, properties), work)

    def _tried(self, key: str, driver: Driver, work: Callable[[Driver], T]) -> T:
        try:
            found = work(driver)
        except BaseException:
            with suppress(Exception):  # it may be the connection that has failed
                driver.close()
            raise
        with self._lock:
            self._idle.setdefault(key, []).append(driver)
        return found


def once(driver: str, properties: Mapping[str, Any], work: Callable[[Driver], T]) -> T:
    """The same over a driver that is closed then, for commands that do not last."""
    with opened(driver, properties) as found:
        return work(found)
