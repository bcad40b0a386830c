"""What is set aside on the machine for one instance, so that two of them never meet: ports and a subnet."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PortKey = tuple[str, str]
"""Service and the name of one of its ports."""


@dataclass(frozen=True)
class Allocation:
    """The numbers that an engine has chosen; a port that is not in `ports` has none yet."""

    ports: Mapping[PortKey, int] = field(default_factory=dict)
    """The outside port of each, or the first of a row where there are replicas."""
    subnet: str | None = None

    @property
    def gateway(self) -> str:
        """Where containers reach this machine: the first address of a network is the bridge's own. Empty without a subnet."""
        return str(next(ipaddress.ip_network(self.subnet).hosts())) if self.subnet else ""

    def to_json(self) -> dict[str, Any]:
        """As it is kept; `from_json` reads it."""
        return {"ports": {f"{service}/{port}": number for (service, port), number in self.ports.items()}, "subnet": self.subnet}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Allocation:
        """What `to_json` gave."""
        ports = {(service, port): int(number) for key, number in kept["ports"].items() for service, _, port in [key.partition("/")]}
        return cls(ports, kept["subnet"])
