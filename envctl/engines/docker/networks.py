"""Ports and subnets that nobody uses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from envctl.errors import EnvctlError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

POOL = "10.231.0.0/16"
"""Docker's own address pools hold some thirty networks; this one holds two thousand of ours."""


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
