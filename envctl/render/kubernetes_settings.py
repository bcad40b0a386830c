"""What a cluster wants of everything that is put into it: `[kubernetes]` of envctl.toml. A new key is one field here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from envctl.plan.exposing import Exposure


def _key(standard: type, example: str) -> Any:
    return field(default_factory=standard, metadata={"example": example})


@dataclass(frozen=True)
class Cluster:
    """The table's keys; the type of a key's default is its type, and what it holds are texts."""

    labels: Mapping[str, str] = _key(dict, 'labels = {"team" = "shop"}')
    pull_secrets: Sequence[str] = _key(list, 'pull_secrets = ["registry-login"]')
    priority_class: str = _key(str, 'priority_class = "low"')
    quota: Mapping[str, str] = _key(dict, 'quota = {"requests.cpu" = "4"}')

    expose: Mapping[str, Any] = field(
        default_factory=dict, metadata={"example": 'expose = {domain = "previews.example.org"}', "shape": Exposure}
    )
    """A table of its own: how exposed services are reached."""
    role: str = _key(str, 'role = "envctl-system-instance"')
    """The ClusterRole that whoever makes a namespace gets in it, where he has no rights there yet."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Cluster:
        """Of a table that has been checked; what a later version has added is left out."""
        return cls(**{each.name: told[each.name] for each in fields(cls) if each.name in told})
