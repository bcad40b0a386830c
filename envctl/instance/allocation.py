"""The ports and the subnet that are reserved on this machine for one instance, so that two instances never collide."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envctl.instance.codec import Malformed, decode

PortKey = tuple[str, str]
"""The name of a service and the name of one of its ports."""


@dataclass(frozen=True)
class Allocation:
    """The ports and the subnet that an engine has chosen; a port that is missing in `ports` has no number yet."""

    ports: Mapping[PortKey, int] = field(default_factory=dict)
    """The outside port number of each port; with replicas, the first of consecutive numbers."""
    subnet: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        """The address at which containers reach this machine: a bridge has the first address of its network. Empty without a subnet."""
        return str(next(ipaddress.ip_network(self.subnet).hosts())) if self.subnet else ""

    def to_json(self) -> dict[str, Any]:
        """Return the allocation as JSON values; `from_json` reads them."""
        ports = {f"{service}/{port}": number for (service, port), number in self.ports.items()}
        return {"ports": ports, "subnet": self.subnet, **self.unknown}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], where: str = "") -> Allocation:
        """Create an allocation from the result of `to_json`; *where* is its place in the record, for errors.

        Raises:
            Malformed: *kept* has another shape, or the subnet is invalid.
        """
        told = decode(_Kept, kept, where)
        try:
            ipaddress.ip_network(told.subnet or "0.0.0.0/0")
        except ValueError as error:
            raise Malformed(f"{where}.subnet: {error}".lstrip(".")) from None
        return cls({_port_key(key, where): number for key, number in told.ports.items()}, told.subnet, told.unknown)


@dataclass(frozen=True)
class _Kept:
    """An allocation in its JSON form, where the keys of `ports` are `SERVICE/PORT`."""

    ports: Mapping[str, int]
    subnet: str | None
    unknown: Mapping[str, Any] = field(default_factory=dict)


def _port_key(key: str, where: str) -> PortKey:
    service, slash, port = key.partition("/")
    if not slash:
        raise Malformed(f"{where}.ports: '{key}' is not SERVICE/PORT".lstrip("."))
    return service, port
