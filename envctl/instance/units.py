"""What later commands and the keeper's helpers need to know about a server's units, to reset a unit without definition or plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PLACEHOLDER = "envctl-unit"
"""The placeholder for a unit's name in `Unit.properties`."""


@dataclass(frozen=True)
class Names:
    """The names for one database, virtual host or bucket.

    Attributes:
        base: the original, which is seeded.
        template: the copy of the seeded state from which units are created.
        lanes: the unit of each lane, from lane 1.
    """

    base: str
    template: str
    lanes: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """How a server is divided into units, or reset.

    Attributes:
        driver: the module of `envctl.units` for the server's protocol.
        names: one entry for each database, virtual host or bucket that every unit has its own copy of; empty if the whole server is the
            unit.
        server: the server's properties as a test process sees them.
        properties: the properties of a unit with the name PLACEHOLDER.
        several: the property that lists everything in *names*.
        ahead: the seeded state is kept even without lanes, since a copy costs next to nothing.
    """

    driver: str
    names: tuple[Names, ...] = ()
    server: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    ahead: bool = False
    several: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def properties_of(self, name: str, base: str) -> dict[str, Any]:
        """Return the properties of the unit *name*, which is a copy of *base* only."""
        found = {key: _put(value, name) for key, value in self.properties.items()}
        items = found.get(self.several, {})
        return {**found, self.several: {base: items[base]}} if base in items else found


def _put(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(PLACEHOLDER, name)
    if isinstance(value, Mapping):
        return {key: _put(item, name) for key, item in value.items()}
    return [_put(item, name) for item in value] if isinstance(value, Sequence) else value
