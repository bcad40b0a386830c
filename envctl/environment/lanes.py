"""The services of an environment that belong to a lane, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lanes:
    """The lanes of an environment, counted from 1. A shared service is in lane 0, and so is every service if there are no lanes.

    Attributes:
        count: the number of lanes; 0 if none were requested.
        own: each service of a lane, with its name in the definition and its lane.
    """

    count: int = 0
    own: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def number(self, service: str) -> int:
        """Return the lane to which *service* belongs; 0 if it is shared."""
        return self.own[service][1] if service in self.own else 0

    def written(self, service: str) -> str:
        """Return the name of *service* in the definition."""
        return self.own[service][0] if service in self.own else service

    def service(self, name: str, lane: int) -> str:
        """Return the service that *name* in the definition means for a reader in *lane*; for lane 0, the first lane's service."""
        return lane_name(name, lane) if lane > 1 and name in self.own else name


NO_LANES = Lanes()


def lane_name(service: str, lane: int) -> str:
    """Return the name of the copy of *service* in *lane*. The first lane's copy has the name in the definition."""
    return service if lane == 1 else f"{service}-lane{lane}"
