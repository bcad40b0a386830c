"""The networks of a Compose file, and what of it belongs to others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def only_internal(joined: Collection[str], networks: Mapping[str, Any], known: Collection[str] = ()) -> bool:
    """Whether nothing outside reaches who is in *joined* alone: Docker publishes nothing of a network that is `internal`.

    Args:
        networks: those of the file, by name; one that is not there is an ordinary one.
        known: what external networks are called that are internal at their daemon; their file does not say that.
    """
    return bool(joined) and all(_is_internal(name, networks.get(name) or {}, known) for name in joined)


def _is_internal(name: str, given: Mapping[str, Any], known: Collection[str]) -> bool:
    return outer(name, given) in known if given.get("external") else bool(given.get("internal"))


def shared(extra: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence on each network and volume, of the top level of a Compose file, that belongs to somebody else."""
    for what, singular in (("networks", "network"), ("volumes", "volume")):
        for name, item in extra.get(what, {}).items():
            if (item or {}).get("external"):
                yield f"the {singular} '{name}' is external: it must exist already, and every instance shares it"


def outer(name: str, given: Mapping[str, Any]) -> str:
    """What the external network is called that a file calls *name*."""
    return str(given.get("name") or name)


def in_doubt(joined: Collection[str], networks: Mapping[str, Any]) -> list[str]:
    """What the external networks are called that decide whether anybody outside reaches who is in *joined*; none where the file does."""
    external = {name: outer(name, given) for name in joined if (given := networks.get(name) or {}).get("external")}
    return list(external.values()) if only_internal(joined, networks, external.values()) else []
