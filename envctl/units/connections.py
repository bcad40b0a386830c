"""Keep drivers connected between uses, because connecting takes longer than most operations."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from envctl.units import Driver, UnitError, connected, opened

T = TypeVar("T")


class Connections:
    """The open drivers of one process, for any number of threads; they close when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Driver]] = {}

    def use(self, driver: str, properties: Mapping[str, Any], work: Callable[[Driver], T]) -> T:
        """Call *work* with a driver that no other thread uses at the same time, and return its result.

        If a kept driver fails, repeat *work* with a new one, because the server may have been restarted since the last use.

        Raises:
            UnitError: As `connected` raises it, or as *work* raises it.
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
            with suppress(Exception):  # closing may fail too, if the connection is the cause of the error
                driver.close()
            raise
        with self._lock:
            self._idle.setdefault(key, []).append(driver)
        return found


def once(driver: str, properties: Mapping[str, Any], work: Callable[[Driver], T]) -> T:
    """Call *work* with a driver, close the driver, and return the result. For commands that end soon. Raise UnitError as `opened` does."""
    with opened(driver, properties) as found:
        return work(found)
