"""The internal networks of a Compose file, and its external networks and volumes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def only_internal(joined: Collection[str], networks: Mapping[str, Any], known: Collection[str] = ()) -> bool:
    """Return whether a service is unreachable from outside, because Docker publishes no ports of an `internal` network.

    Args:
        joined: the names of all networks of the service.
        networks: the networks of the Compose file, by name; a network that is missing there is an ordinary one.
        known: the real names of the external networks that are internal, which only the Docker daemon knows.
    """
    return bool(joined) and all(_is_internal(name, networks.get(name) or {}, known) for name in joined)


def _is_internal(name: str, given: Mapping[str, Any], known: Collection[str]) -> bool:
    return outer(name, given) in known if given.get("external") else bool(given.get("internal"))


def shared(extra: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each external network and volume in *extra*, the top-level sections of a Compose file."""
    for what, singular in (("networks", "network"), ("volumes", "volume")):
        for name, item in extra.get(what, {}).items():
            if (item or {}).get("external"):
                yield f"the {singular} '{name}' is external: it must exist already, and every instance shares it"


def outer(name: str, given: Mapping[str, Any]) -> str:
    """Return the real name of the external network that a Compose file calls *name*."""
    return str(given.get("name") or name)


def in_doubt(joined: Collection[str], networks: Mapping[str, Any]) -> list[str]:
    """Return the real names of the external networks that decide whether a service in *joined* is reachable from outside.

    The list is empty if the Compose file decides it.
    """
    external = {name: outer(name, given) for name in joined if (given := networks.get(name) or {}).get("external")}
    return list(external.values()) if only_internal(joined, networks, external.values()) else []
