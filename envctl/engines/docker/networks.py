"""Ports and subnets that nobody uses."""

from __future__ import annotations

import hashlib
import ipaddress
import random
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from envctl.errors import EnvctlError
from envctl.plan.model import PortKey

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = range(20000, 32000)
"""Below what kernels hand out for outgoing connections (32768 and up), so that a stopped service finds its port free again."""
POOL = "10.231.0.0/16"
"""Docker's own address pools hold some thirty networks; this one holds two thousand of ours."""


def free_ports(wanted: Mapping[PortKey, int], taken: Iterable[int], probe: bool) -> dict[PortKey, int]:
    """The first of so many ports in a row for each of *wanted*; with *probe* (the daemon is on this machine) they can be bound now."""
    used, found = set(taken), {}
    candidates = random.sample(PORTS, len(PORTS))
    for key, width in wanted.items():
        rows = (range(port, port + width) for port in candidates if port not in used)
        row = next((row for row in rows if all(_free(port, used, probe) for port in row)), None)
        if row is None:
            raise EnvctlError(f"no free port between {PORTS.start} and {PORTS.stop}", hint="`envctl list --all` shows what runs")
        used |= set(row)
        found[key] = row.start
    return found


def _free(port: int, used: Collection[int], probe: bool) -> bool:
    return port in PORTS and port not in used and (not probe or _bindable(port))


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Asked(Protocol):
    """A daemon that answers."""

    def get(self, path: str, **query: Any) -> Any: ...


def free_subnet(daemon: Asked, id: str, size: int, refused: Collection[str], pool: str = POOL) -> str:
    """A subnet for *size* containers that overlaps with no Docker network and no route of this machine."""
    taken: list[Network] = [*_docker_subnets(daemon), *_routes(), *(ipaddress.ip_network(text) for text in refused)]
    prefix = min(27, 32 - (size + 3).bit_length())
    subnets: list[Network] = list(ipaddress.ip_network(pool).subnets(new_prefix=prefix))
    start = int(hashlib.sha256(id.encode()).hexdigest(), 16) % len(subnets)
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(other) for other in taken if other.version == subnet.version):
            return str(subnet)
    raise EnvctlError(f"no free subnet in {pool}", hint="`envctl gc` removes what has expired; `envctl list --all` shows what runs")


def _docker_subnets(daemon: Asked) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for network in daemon.get("/networks"):
        for config in (network.get("IPAM") or {}).get("Config") or []:
            if config.get("Subnet"):
                yield ipaddress.ip_network(config["Subnet"], strict=False)


def _routes() -> Iterator[ipaddress.IPv4Network]:
    """The machine's routes, default ones left out: Docker takes a subnet that hides one without a word."""
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            yield ipaddress.IPv4Network((address, bin(mask).count("1")))
