"""Which services of an environment are a lane's own, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lanes:
    """Lanes count from 1. What all of them share, and everything where there are none, is in lane 0.

    Attributes:
        count: how many there are; 0 where nobody asked for any.
        own: each service that is a lane's own: its name in the definition, and the lane.
    """

    count: int = 0
    own: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def number(self, service: str) -> int:
        """The lane whose own *service* is; 0 where it is shared."""
        return self.own[service][1] if service in self.own else 0

    def written(self, service: str) -> str:
        """Its name in the definition."""
        return self.own[service][0] if service in self.own else service

    def service(self, name: str, lane: int) -> str:
        """What *name* in the definition is for a reader in that lane; whoever is in none sees the first."""
        return lane_name(name, lane) if lane > 1 and name in self.own else name


NO_LANES = Lanes()


def lane_name(service: str, lane: int) -> str:
    """The first lane's copy has the name of the definition."""
    return service if lane == 1 else f"{service}-lane{lane}"
