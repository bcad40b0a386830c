"""What is set aside on the machine for one instance, so that two of them never meet: ports and a subnet."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envctl.instance.codec import Malformed, decode

PortKey = tuple[str, str]
"""Service and the name of one of its ports."""


@dataclass(frozen=True)
class Allocation:
    """The numbers that an engine has chosen; a port that is not in `ports` has none yet."""

    ports: Mapping[PortKey, int] = field(default_factory=dict)
    """The outside port of each, or the first of a row where there are replicas."""
    subnet: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        """Where containers reach this machine: the first address of a network is the bridge's own. Empty without a subnet."""
        return str(next(ipaddress.ip_network(self.subnet).hosts())) if self.subnet else ""

    def to_json(self) -> dict[str, Any]:
        """As it is kept; `from_json` reads it."""
        ports = {f"{service}/{port}": number for (service, port), number in self.ports.items()}
        return {"ports": ports, "subnet": self.subnet, **self.unknown}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], where: str = "") -> Allocation:
        """What `to_json` gave.

        Raises:
            Malformed: it is something else.
        """
        told = decode(_Kept, kept, where)
        try:
            ipaddress.ip_network(told.subnet or "0.0.0.0/0")
        except ValueError as error:
            raise Malformed(f"{where}.subnet: {error}".lstrip(".")) from None
        return cls({_port_key(key, where): number for key, number in told.ports.items()}, told.subnet, told.unknown)


@dataclass(frozen=True)
class _Kept:
    """An allocation as JSON has it, whose keys are texts."""

    ports: Mapping[str, int]
    subnet: str | None
    unknown: Mapping[str, Any] = field(default_factory=dict)


def _port_key(key: str, where: str) -> PortKey:
    service, slash, port = key.partition("/")
    if not slash:
        raise Malformed(f"{where}.ports: '{key}' is not SERVICE/PORT".lstrip("."))
    return service, port
