"""What later commands, and the keeper's helpers, must know of a server's units: no definition and no plan is needed to reset one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PLACEHOLDER = "envctl-unit"
"""Stands for a unit's name in the properties of `Unit.properties`."""


@dataclass(frozen=True)
class Names:
    """Of one database, virtual host or bucket: what is seeded, what is kept of it to make units from, and each lane's, from the first."""

    base: str
    template: str
    lanes: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """How a server is divided, or reset.

    Attributes:
        driver: the module of `envctl.units` that knows its protocol.
        names: of each thing that a unit has one of its own of; none where the server as a whole is the unit: it can be emptied.
        server: its properties as a test process sees them.
        properties: the same of a unit named PLACEHOLDER.
        several: what of *properties* lists everything that *names* has.
        ahead: what is seeded is kept though nobody has asked for lanes, as that costs next to nothing.
    """

    driver: str
    names: tuple[Names, ...] = ()
    server: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    ahead: bool = False
    several: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def properties_of(self, name: str, base: str) -> dict[str, Any]:
        """The properties of the unit *name*, a copy of *base* and of nothing else."""
        found = {key: _put(value, name) for key, value in self.properties.items()}
        items = found.get(self.several, {})
        return {**found, self.several: {base: items[base]}} if base in items else found


def _put(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(PLACEHOLDER, name)
    if isinstance(value, Mapping):
        return {key: _put(item, name) for key, item in value.items()}
    return [_put(item, name) for item in value] if isinstance(value, Sequence) else value
