"""The networks of a Compose file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def only_internal(joined: Collection[str], networks: Mapping[str, Any]) -> bool:
    """Whether nothing outside reaches who is in *joined* alone: Docker publishes nothing of a network that is `internal`.

    Args:
        networks: those of the file, by name; one that is not there is an ordinary one.
    """
    return bool(joined) and all((networks.get(name) or {}).get("internal") for name in joined)
