"""Changes of the data, test by test: which test leaves data behind, and which test changes or removes the data of another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.process.threads import each
from envctl.watched_data import WHOLE, Contents, contents_of

SHOWN = 20
"""The number of items (such as rows) of one thing (such as a table) that are listed."""
Look = Mapping[str, Contents]
"""Service to its contents at one moment."""


class Change(NamedTuple):
    """The items of one thing that were added, changed and removed."""

    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()

    def shown(self) -> dict[str, Any]:
        """Return the change as the API shows it: the number of items, and up to SHOWN of them."""
        lists = {name: sorted(items)[:SHOWN] for name, items in self._asdict().items()}
        return {**{name: len(items) for name, items in self._asdict().items()}, "items": {k: v for k, v in lists.items() if v}}


class Checkpoints:
    """The checkpoints of an instance: after each test, the data of its lane is compared with the data at the checkpoint before.

    Args:
        record: returns the instance's record as it is now.
    """

    def __init__(self, record: Callable[[], Record]) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._last: dict[int, Look] = {}
        self._made_by: dict[tuple[int, str, str, str], str] = {}
        self.made: list[dict[str, Any]] = []
        """All checkpoints, as the API shows them."""

    def begin(self) -> None:
        """Start again with the current data of all lanes, which belongs to no test; the next checkpoints are compared with it.

        Raises:
            EnvctlError: a server does not answer.
        """
        record = self._record()
        looks = {lane: look(record, lane) for lane in range(1, max(len(record.lanes), 1) + 1)}
        with self._lock:
            self._last, self._made_by, self.made = looks, {}, []

    def take(self, test: str, lane: int = 1) -> dict[str, Any]:
        """Take a checkpoint, and return what has changed in the lane since the last one. The first checkpoint returns no changes.

        Args:
            test: the test that has made the changes; if it is empty, they belong to no test.

        Raises:
            EnvctlError: a server does not answer.
        """
        now = look(self._record(), lane)
        with self._lock:
            before = self._last.get(lane)
            self._last[lane] = now
            changes = {} if before is None else compare(before, now)
            touched = sorted({by for by in self._touched(changes, lane) if by != test})
            self._remember(test, lane, changes)
            found = {
                "test": test, "lane": lane, "touched": touched,
                "changes": {service: {thing: change.shown() for thing, change in things.items()} for service, things in changes.items()},
            }  # fmt: skip
            if before is not None and test:
                self.made.append(found)
        return found

    def reset(self, lane: int | None) -> None:
        """Look at the data again after a reset of *lane*, or of everything if it is None; this data belongs to no test.

        Raises:
            EnvctlError: a server does not answer.
        """
        with self._lock:
            for number in [number for number in self._last if lane in (None, number)]:
                self._last[number] = look(self._record(), number)
                self._made_by = {key: by for key, by in self._made_by.items() if key[0] != number}

    def _touched(self, changes: Mapping[str, Mapping[str, Change]], lane: int) -> list[str]:
        """Return the tests whose data was changed or removed."""
        return [
            by
            for service, things in changes.items()
            for thing, change in things.items()
            for item in (*change.changed, *change.removed)
            if (by := self._made_by.get((lane, service, thing, item))) is not None
        ]

    def _remember(self, test: str, lane: int, changes: Mapping[str, Mapping[str, Change]]) -> None:
        for service, things in changes.items():
            for thing, change in things.items():
                for item in (*change.added, *change.changed, *change.removed):
                    self._made_by.pop((lane, service, thing, item), None)
                if test:
                    self._made_by |= {(lane, service, thing, item): test for item in (*change.added, *change.changed)}


def look(record: Record, lane: int) -> Look:
    """Return the contents of all servers that belong to *lane* or are shared, as far as `envctl.watched_data` supports them.

    Raises:
        EnvctlError: a server does not answer.
    """
    found: dict[str, Contents] = {}

    def one(name: str) -> None:
        service = record.services[name]
        assert service.unit is not None
        unit = service.unit
        things: dict[str, Mapping[str, str]] = {}
        for names in unit.names:
            own = names.lanes[lane - 1] if len(names.lanes) >= lane else names.base
            told = contents_of(unit.driver, unit.server, own)
            several = len(unit.names) > 1
            things |= {f"{names.base}.{thing}" if several else thing: items for thing, items in (told or {}).items()}
        if not unit.names:
            things |= contents_of(unit.driver, unit.server, "") or {}
        found[service.written or name] = things

    def quietly(name: str) -> None:
        try:
            one(name)
        except EnvctlError as error:
            raise EnvctlError(f"{name}: {error.message}") from None

    each(quietly, [name for name, service in record.services.items() if service.unit is not None and service.lane in (0, lane)])
    return found


def compare(before: Look, now: Look) -> dict[str, dict[str, Change]]:
    """Return service to thing to its changes; things without changes are left out."""
    found: dict[str, dict[str, Change]] = {}
    for service in before.keys() | now.keys():
        old, new = before.get(service, {}), now.get(service, {})
        changes = {thing: _compared(old.get(thing, {}), new.get(thing, {})) for thing in old.keys() | new.keys()}
        changed = {thing: change for thing, change in sorted(changes.items()) if any(change)}
        if changed:
            found[service] = changed
    return dict(sorted(found.items()))


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    if WHOLE in old or WHOLE in new:  # too many items to compare one by one
        return Change(changed=[WHOLE] if old != new else [])
    return Change(
        added=[item for item in new if item not in old],
        changed=[item for item, value in new.items() if old.get(item, value) != value],
        removed=[item for item in old if item not in new],
    )
