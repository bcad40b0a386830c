"""What an engine has chosen for an instance before anything is created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PortKey = tuple[str, str]
"""Service and the name of one of its ports."""


@dataclass(frozen=True)
class Allocation:
    """The outside port of every published one, and the subnet of the instance's network where its engine has one."""

    ports: Mapping[PortKey, int] = field(default_factory=dict)
    subnet: str | None = None

    def to_json(self) -> dict[str, Any]:
        """`{"ports": {"SERVICE/PORT": number}, "subnet": text or null}`."""
        return {"ports": {f"{service}/{port}": number for (service, port), number in self.ports.items()}, "subnet": self.subnet}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Allocation:
        """The opposite of `to_json`."""
        return cls({port_key(text): int(number) for text, number in told.get("ports", {}).items()}, told.get("subnet"))


def port_key(text: str) -> PortKey:
    service, _, port = text.partition("/")
    return service, port
