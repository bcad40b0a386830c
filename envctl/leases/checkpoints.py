"""What has changed in the data between two moments, told apart by test: who leaves something behind, and who touches what another left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.process.threads import each
from envctl.watched_data import WHOLE, Contents, contents_of

SHOWN = 20
"""Items of one thing that are named."""
Look = Mapping[str, Contents]
"""Service to what is in it."""


class Change(NamedTuple):
    """Of one thing: the items that came, that are different now, and that went."""

    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()

    def shown(self) -> dict[str, Any]:
        lists = {name: sorted(items)[:SHOWN] for name, items in self._asdict().items()}
        return {**{name: len(items) for name, items in self._asdict().items()}, "items": {k: v for k, v in lists.items() if v}}


class Checkpoints:
    """
    Args:
        record: gives the instance's record as it is now.
    """

    def __init__(self, record: Callable[[], Record]) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._last: dict[int, Look] = {}
        self._made_by: dict[tuple[int, str, str, str], str] = {}
        self.made: list[dict[str, Any]] = []
        """Every checkpoint, as the API shows it."""

    def begin(self) -> None:
        """Forgets all that was seen: what is there now, in every lane, is nobody's, and the next checkpoints are compared with it."""
        record = self._record()
        looks = {lane: look(record, lane) for lane in range(1, max(len(record.lanes), 1) + 1)}
        with self._lock:
            self._last, self._made_by, self.made = looks, {}, []

    def take(self, test: str, lane: int = 1) -> dict[str, Any]:
        """What *test* has changed in its lane; nothing at the first checkpoint, which is what the next one is compared with.
        Without a name, what has changed is nobody's.

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
        """After a reset of *lane*, or of everything: what is there now is nobody's."""
        with self._lock:
            for number in [number for number in self._last if lane in (None, number)]:
                self._last[number] = look(self._record(), number)
                self._made_by = {key: by for key, by in self._made_by.items() if key[0] != number}

    def _touched(self, changes: Mapping[str, Mapping[str, Change]], lane: int) -> list[str]:
        """The tests whose leavings were changed or removed."""
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
    """What is in every server that *lane* sees, as far as somebody knows how to look into it."""
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
    """Service to thing to what has changed in it; only where something has."""
    found: dict[str, dict[str, Change]] = {}
    for service in before.keys() | now.keys():
        old, new = before.get(service, {}), now.get(service, {})
        changes = {thing: _compared(old.get(thing, {}), new.get(thing, {})) for thing in old.keys() | new.keys()}
        changed = {thing: change for thing, change in sorted(changes.items()) if any(change)}
        if changed:
            found[service] = changed
    return dict(sorted(found.items()))


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    if WHOLE in old or WHOLE in new:  # too many to be looked at singly
        return Change(changed=[WHOLE] if old != new else [])
    return Change(
        added=[item for item in new if item not in old],
        changed=[item for item, value in new.items() if old.get(item, value) != value],
        removed=[item for item in old if item not in new],
    )
