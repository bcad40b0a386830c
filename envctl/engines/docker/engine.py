"""The engine: one daemon, and the instances on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from envctl.engines.docker.connection import Connection, connect
from envctl.engines.docker.instance import ONE_OFF, DockerInstance
from envctl.engines.docker.removal import labelled, remove_instance
from envctl.engines.seam import DeploymentSettings, FoundInstance, Wanted
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location
from envctl.instance.times import STAMP
from envctl.plan.traits import Addresses
from envctl.session.host import Host

if TYPE_CHECKING:
    from envctl.engines.docker.deployment import DockerDeployment
    from envctl.plan.model import Plan


@dataclass(frozen=True)
class DockerEngine:
    """One daemon."""

    connection: Connection
    name: str = "docker"

    def addresses(self) -> Addresses:
        """A daemon on another machine publishes where we can reach it, which is not its loopback address."""
        host = self.connection.hostname
        return Addresses(host, "0.0.0.0", _our_address(host)) if host else Addresses()

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        from envctl.engines.docker.networks import free_subnet
        from envctl.engines.ports import allocate_ports, anywhere, free_here

        ports = allocate_ports(wanted.ports, kept.ports, taken, anywhere if self.connection.hostname else free_here)
        subnet = kept.subnet or free_subnet(self.connection.daemon, id, wanted.containers, tuple(refused))
        return Allocation(ports, subnet)

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> DockerDeployment:
        from envctl.engines.docker.deployment import DockerDeployment

        return DockerDeployment(self.connection, plan.setting.id, plan=plan, settings=settings)

    def attach(self, id: str) -> DockerInstance:
        return DockerInstance(self.connection, id)

    def list(self) -> Sequence[FoundInstance]:
        """Everything that carries our label: containers, networks and markers."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entries in labelled(self.connection.daemon, labels.INSTANCE).values():
            for entry in entries:
                found.setdefault(entry["Labels"][labels.INSTANCE], []).append(entry)
        return [_found(id, entries) for id, entries in sorted(found.items())]

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        return remove_instance(self.connection.daemon, id, stop)

    def prune(self, everything: bool) -> Sequence[str]:
        from envctl.engines.docker.images import prune

        return [f"image {name}" for name in prune(self.connection, everything)]


def _our_address(host: str) -> str:
    """The address of this machine that *host* can reach: the one that packets to it leave from (none is sent)."""
    import socket

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
    return Addresses.tester_host


def _found(id: str, entries: Sequence[dict[str, Any]]) -> FoundInstance:
    told = entries[0]["Labels"]
    containers = [entry for entry in entries if "State" in entry and entry["Labels"].get(ONE_OFF) != "True"]
    return FoundInstance(
        id=id,
        name=told.get(labels.NAME, id),
        environment=told.get(labels.ENVIRONMENT, ""),
        project=told.get(labels.PROJECT, ""),
        owner=told.get(labels.OWNER, ""),
        created=min((_created(entry) for entry in entries), default=""),
        expires=max((e["Labels"][labels.EXPIRES] for e in entries if labels.EXPIRES in e["Labels"]), default=None),
        running=sum(entry["State"] == "running" for entry in containers),
        done=sum(str(entry.get("Status", "")).startswith("Exited (0)") for entry in containers),
        total=len(containers),
    )


def _created(entry: Mapping[str, Any]) -> str:
    value = entry.get("Created") or entry.get("CreatedAt") or ""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime(STAMP)
    return str(value)[:19] + "Z"


def open_engine(location: Location, host: Host) -> DockerEngine:
    """
    Raises:
        EngineMissing: there is no daemon, or it does not answer.
    """
    return DockerEngine(connect(location.context, host.environ))
