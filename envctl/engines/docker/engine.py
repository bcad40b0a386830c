"""The Docker engine: one daemon, and the instances on it, which are found and removed by their labels."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.engines.docker import snapshots
from envctl.engines.docker.api import ApiError, Asked, Daemon
from envctl.engines.docker.connection import Connection, connect
from envctl.engines.docker.containers_and_volumes import remove_container, remove_volume
from envctl.engines.docker.inside_container import gateway, own_container
from envctl.engines.docker.instance import ONE_OFF, DockerInstance
from envctl.engines.protocol import DeploymentSettings, FoundInstance, Wanted
from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location, stamp
from envctl.plan.traits import Addresses
from envctl.process.threads import each
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.engines.docker.deployment import DockerDeployment
    from envctl.plan.model import Plan

POOL = "10.231.0.0/16"
"""The address range for networks of instances: it has room for two thousand; Docker's own address pools have room for about thirty."""
ROUNDS = 5
"""The number of attempts to remove everything."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Entry = dict[str, Any]


def open_engine(location: Location, host: Host) -> DockerEngine:
    """Connect to the daemon at *location*.

    Raises:
        EngineMissing: there is no daemon, or it does not answer.
    """
    return DockerEngine(connect(location.context, host.environ))


@dataclass(frozen=True)
class DockerEngine:
    """The engine on one daemon."""

    connection: Connection
    name: str = "docker"

    def addresses(self) -> Addresses:
        """Return where published ports are reached: on the daemon's machine, at the gateway of envctl's own container, or at 127.0.0.1."""
        host = self.connection.hostname
        if host:
            return Addresses(host, "0.0.0.0", _our_address(host))
        return Addresses(self._gateway, self._gateway) if self._gateway else Addresses()

    def internal(self, networks: Collection[str]) -> frozenset[str]:
        found = ((name, self.connection.daemon.find(f"/networks/{name}")) for name in networks)
        return frozenset(name for name, its in found if its is not None and its.get("Internal"))

    @cached_property
    def _gateway(self) -> str:
        return gateway(self.connection.daemon, own_container(self.connection.daemon))

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        from envctl.engines.free_ports import allocate_ports, anywhere, free_here

        ports = allocate_ports(wanted.ports, kept.ports, taken, anywhere if self.connection.hostname or self._gateway else free_here)
        subnet = kept.subnet or free_subnet(self.connection.daemon, id, wanted.containers, tuple(refused))
        return Allocation(ports, subnet)

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> DockerDeployment:
        from envctl.engines.docker.deployment import DockerDeployment

        return DockerDeployment(self.connection, plan.setting.id, plan=plan, settings=settings)

    def attach(self, id: str) -> DockerInstance:
        return DockerInstance(self.connection, id)

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        """Return all instances with a container, network or marker volume that has envctl's labels."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entries in labelled(self.connection.daemon, f"{labels.INSTANCE}={id}" if id else labels.INSTANCE).values():
            for entry in entries:
                found.setdefault(entry["Labels"][labels.INSTANCE], []).append(entry)
        return [found_instance(each, entries) for each, entries in sorted(found.items())]

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        return remove_instance(self.connection.daemon, id, stop)

    def prune(self, everything: bool) -> Sequence[str]:
        from envctl.engines.docker.images import prune

        return [f"image {name}" for name in prune(self.connection, everything)]

    @property
    def keeps_at(self) -> str:
        return self.connection.context or self.connection.endpoint.host

    def has(self, ref: str, content: str) -> bool:
        return snapshots.image_id(self.connection.daemon, ref) == content

    def remove_kept(self, ref: str) -> bool:
        return snapshots.remove(self.connection.daemon, ref)

    def kept(self) -> Sequence[tuple[str, str]]:
        return snapshots.kept(self.connection)

    def write_kept(self, ref: str, file: Path) -> None:
        snapshots.write(self.connection, ref, file)

    def read_kept(self, ref: str, file: Path) -> str:
        return snapshots.read(self.connection, ref, file)


def _our_address(host: str) -> str:
    """Return the address of this machine that *host* can reach: the source address of packets to *host* (none is sent)."""
    import socket

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
    return Addresses.tester_host


def found_instance(id: str, entries: Sequence[dict[str, Any]]) -> FoundInstance:
    """Return the instance *id* as the labels of its containers, networks and volumes (*entries*) describe it."""
    # Tests may put the id on a container of their own, so that it is removed with the instance: it lacks the other labels.
    told = next((entry["Labels"] for entry in entries if labels.NAME in entry["Labels"]), entries[0]["Labels"])
    containers = [entry for entry in entries if "State" in entry and entry["Labels"].get(ONE_OFF) == "False"]
    ended_well = [entry for entry in containers if str(entry.get("Status", "")).startswith("Exited (0)")]
    expires = max((entry["Labels"][labels.EXPIRES] for entry in entries if labels.EXPIRES in entry["Labels"]), default=None)
    running, created = sum(entry["State"] == "running" for entry in containers), min(map(_created, entries))
    counts = {"running": running, "total": len(containers), "done": len(ended_well)}
    return FoundInstance.labelled(id, told, **counts, created=created, expires=expires)


def _created(entry: Mapping[str, Any]) -> str:
    value = entry.get("Created") or entry.get("CreatedAt") or ""
    if isinstance(value, int):
        return stamp(value)
    return str(value)[:19] + "Z"


def free_subnet(daemon: Asked, id: str, size: int, refused: Collection[str], pool: str = POOL) -> str:
    """Return a subnet for *size* containers that overlaps with no Docker network and no route of this machine.

    Raises:
        EnvctlError: no subnet of *pool* is free.
    """
    taken: list[Network] = [*_docker_subnets(daemon), *_routes(), *(ipaddress.ip_network(text) for text in refused)]
    prefix = min(27, 32 - (size + 3).bit_length())
    subnets: list[Network] = list(ipaddress.ip_network(pool).subnets(new_prefix=prefix))
    start = int(hashlib.sha256(id.encode()).hexdigest(), 16) % len(subnets)
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(other) for other in taken if other.version == subnet.version):
            return str(subnet)
    raise EnvctlError(f"no free subnet in {pool}", hint="`envctl gc` removes what has expired; `envctl list --all` shows what runs")


def _docker_subnets(daemon: Asked) -> Iterator[Network]:
    for network in daemon.get("/networks"):
        for config in (network.get("IPAM") or {}).get("Config") or []:
            if config.get("Subnet"):
                yield ipaddress.ip_network(config["Subnet"], strict=False)


def _routes() -> Iterator[ipaddress.IPv4Network]:
    """Yield the routes of this machine except default routes: Docker silently accepts a subnet that hides a route."""
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            yield ipaddress.IPv4Network((address, bin(mask).count("1")))


def remove_instance(daemon: Daemon, id: str, stop: Mapping[str, float]) -> list[str]:
    """Remove the containers, networks and volumes of *id*, and return what is still left after several attempts.

    Args:
        stop: service to the seconds that it may take to end after SIGTERM; all others are killed.
    """
    for _ in range(ROUNDS):
        left = labelled(daemon, f"{labels.INSTANCE}={id}")
        if not any(left.values()):
            return []
        _quietly(lambda container: _end_and_remove(daemon, container, stop), left["container"])
        _quietly(lambda entry: _remove_other(daemon, entry), [*left["network"], *left["volume"]])
    found = labelled(daemon, f"{labels.INSTANCE}={id}")
    return [f"{what} {entry.get('Name') or entry['Names'][0].strip('/')}" for what, entries in found.items() for entry in entries]


def labelled(daemon: Daemon, label: str) -> dict[str, list[Entry]]:
    """Return the containers, networks and volumes with *label*, by type (`container`, `network`, `volume`)."""
    filters = {"label": [label]}
    return {
        "container": daemon.get("/containers/json", all="1", filters=filters),
        "network": daemon.get("/networks", filters=filters),
        "volume": daemon.get("/volumes", filters=filters)["Volumes"] or [],
    }


def _quietly(remove: Callable[[Entry], None], entries: Iterable[Entry]) -> None:
    def tried(entry: Entry) -> None:
        with suppress(ApiError):  # another process is removing it, or it is in use: the next round tries again
            remove(entry)

    each(tried, entries)


def _remove_other(daemon: Daemon, entry: Entry) -> None:
    if "Id" in entry:
        daemon.request("DELETE", f"/networks/{entry['Id']}")
    else:
        remove_volume(daemon, entry["Name"])


def _end_and_remove(daemon: Daemon, container: Entry, stop: Mapping[str, float]) -> None:
    seconds = stop.get(container["Labels"].get(labels.SERVICE, ""), 0)
    if seconds and container["State"] == "running":
        with suppress(ApiError):
            daemon.request("POST", f"/containers/{container['Id']}/stop", {"t": str(max(1, round(seconds)))}, patience=seconds)
    remove_container(daemon, container["Id"])
