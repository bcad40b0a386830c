"""Settings that prevent two copies of a service, because both would use the same ports, names or data of the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envctl.definition.models import Service
from envctl.definition.source import TreePath

_ALONE = {"container_name": "two containers cannot have one name", "mac_address": "it would exist twice"}


def cannot_be_copied(service: Service) -> Iterator[tuple[TreePath, str]]:
    """Yield a path below the service and the reason, for each setting that prevents a second copy."""
    given = service.compose
    if service.publish:
        ports = service.publish.values() if isinstance(service.publish, Mapping) else [service.publish]
        yield ("publish",), f"port {', '.join(map(str, ports))} of this machine"
    for key, why in _ALONE.items():
        if key in given:
            yield ("compose", key), f"`{key}`: {why}"
    if given.get("network_mode") == "host":
        yield ("compose", "network_mode"), "`network_mode: host`: all of its copies would listen on the same ports of this machine"
    if not service.from_compose:  # envctl does not use the host ports of a Compose file
        yield from ((("compose", "ports", number), f"port {port} of this machine") for number, port in _fixed_ports(given))
    yield from _addresses(given)
    yield from _volumes(given)
    yield from _kubernetes(service.kubernetes, ("kubernetes",))


def _fixed_ports(given: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the position and number of fixed ports: `"8080:80"`, `{target: 80, published: 8080}`. `"80"` leaves the number to Docker."""
    ports = given.get("ports")
    for number, port in enumerate(ports if isinstance(ports, list) else ()):
        if isinstance(port, Mapping):
            found = str(port.get("published") or "")
        else:
            host = str(port).partition("/")[0].rpartition(":")[0]
            found = host.rpartition(":")[2]
        if found.strip("0"):
            yield number, found


def _addresses(given: Mapping[str, Any]) -> Iterator[tuple[TreePath, str]]:
    networks = given.get("networks")
    for name, options in networks.items() if isinstance(networks, Mapping) else ():
        for key in ("ipv4_address", "ipv6_address"):
            if isinstance(options, Mapping) and key in options:
                yield ("compose", "networks", name, key), f"`{key}`: the address would exist twice"


def _volumes(given: Mapping[str, Any]) -> Iterator[tuple[TreePath, str]]:
    """Yield the named volumes that the service can write to."""
    volumes = given.get("volumes")
    for number, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        if isinstance(volume, Mapping):
            name = volume.get("source") if volume.get("type") == "volume" and not volume.get("read_only") else None
        else:
            parts = str(volume).split(":")
            named = len(parts) > 1 and not parts[0].startswith((".", "/", "~", "$"))
            name = parts[0] if named and "ro" not in parts[-1].split(",") else None
        if name:
            yield ("compose", "volumes", number), f"all of its copies would write to the volume '{name}'"


def _kubernetes(tree: Any, path: TreePath) -> Iterator[tuple[TreePath, str]]:
    """Yield each `hostNetwork`, `hostPort` and `nodePort`, at any depth."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key in ("hostNetwork", "hostPort", "nodePort") and value:
                yield (*path, key), f"`{key}: {str(value).lower()}`: ports of the node"
            yield from _kubernetes(value, (*path, str(key)))
    elif isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from _kubernetes(item, (*path, number))
