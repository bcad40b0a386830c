"""The Docker engine: the rendered Compose project is what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.engines import Addresses, FoundInstance, refuse_namespace
from envctl.engines.docker.connection import Connection, connect
from envctl.engines.docker.instance import DockerInstance
from envctl.engines.docker.removal import labelled, remove_instance

if TYPE_CHECKING:
    from envctl.engines.docker.project import DockerDeployment
    from envctl.plan.model import Plan, PortKey


@dataclass(frozen=True)
class DockerEngine:
    """One daemon."""

    connection: Connection
    name: str = "docker"

    def addresses(self) -> Addresses:
        """A daemon on another machine publishes where we can reach it, which is not its loopback address."""
        host = self.connection.hostname
        return Addresses(host, "0.0.0.0", _our_address(host)) if host else Addresses()

    def free_ports(self, wanted: Mapping[PortKey, int], taken: Iterable[int]) -> Mapping[PortKey, int]:
        from envctl.engines.common.ports import free_ports

        return free_ports(wanted, taken, probe=not self.connection.hostname)

    def free_subnet(self, id: str, size: int, refused: Iterable[str]) -> str | None:
        from envctl.engines.docker.networks import free_subnet

        return free_subnet(self.connection.daemon, id, size, tuple(refused))

    def deployment(self, plan: Plan, folder: Path) -> DockerDeployment:
        from envctl.engines.docker.project import DockerDeployment

        return DockerDeployment(self.connection, plan.setting.id, plan=plan, folder=folder)

    def attach(self, id: str) -> DockerInstance:
        return DockerInstance(self.connection, id)

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        return remove_instance(self.connection.daemon, id, stop)

    def prune_images(self, all: bool) -> Sequence[str]:
        from envctl.engines.docker.images import prune

        return prune(self.connection, all)

    def list(self) -> Sequence[FoundInstance]:
        """Everything that carries our label: containers, networks and markers."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entries in labelled(self.connection.daemon, "envctl.instance").values():
            for entry in entries:
                found.setdefault(entry["Labels"]["envctl.instance"], []).append(entry)
        return [_seen(id, entries) for id, entries in sorted(found.items())]


def _our_address(host: str) -> str:
    """The address of this machine that *host* can reach: the one that packets to it leave from (none is sent)."""
    import socket

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
    return Addresses.tester_host


def _seen(id: str, entries: Sequence[dict[str, Any]]) -> FoundInstance:
    marks = entries[0]["Labels"]
    containers = [entry for entry in entries if "State" in entry]
    expires = max((e["Labels"]["envctl.expires"] for e in entries if "envctl.expires" in e["Labels"]), default=None)
    return FoundInstance(
        id=id,
        name=marks.get("envctl.name", id),
        environment=marks.get("envctl.environment", ""),
        project=marks.get("envctl.project", ""),
        owner=marks.get("envctl.owner", ""),
        created=min((_created(entry) for entry in entries), default=""),
        expires=expires,
        running=sum(entry["State"] == "running" for entry in containers),
        done=sum(str(entry.get("Status", "")).startswith("Exited (0)") for entry in containers),
        total=len(containers),
    )


def _created(entry: Mapping[str, Any]) -> str:
    value = entry.get("Created") or entry.get("CreatedAt") or ""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)[:19] + "Z"


def open_engine(context: str | None, namespace: str | None = None) -> DockerEngine:
    refuse_namespace("Docker", namespace)
    return DockerEngine(connect(context))
