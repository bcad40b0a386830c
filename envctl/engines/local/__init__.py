"""The local engine: the same services as processes of this machine, no Docker, no root."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.engines import Addresses, FoundInstance, refuse_namespace
from envctl.engines.local.folders import services_folder
from envctl.engines.local.instance import LocalInstance
from envctl.engines.local.traits import TRAITS
from envctl.instance import Record, records

if TYPE_CHECKING:
    from envctl.engines.local.project import LocalDeployment
    from envctl.plan.model import Plan, PortKey


@dataclass(frozen=True)
class LocalEngine:
    """This machine."""

    name: str = "local"
    _held: dict[PortKey, list[socket.socket]] = field(default_factory=dict)

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def free_ports(self, wanted: Mapping[PortKey, int], taken: Iterable[int]) -> Mapping[PortKey, int]:
        from envctl.engines.local.ports import hold_ports

        return hold_ports(wanted, taken, self._held)

    def free_subnet(self, id: str, size: int, refused: Iterable[str]) -> str | None:
        return None

    def deployment(self, plan: Plan, folder: Path) -> LocalDeployment:
        from envctl.engines.local.project import LocalDeployment

        return LocalDeployment(plan.setting.id, plan=plan)

    def attach(self, id: str) -> LocalInstance:
        return LocalInstance(id)

    def list(self) -> Sequence[FoundInstance]:
        """Those on disk, and those whose state is gone though their keepers run."""
        from envctl.keeper_client.keepers import seen_alone

        known = {record.id: _seen(record) for record in records() if record.engine == self.name}
        everything = {record.id for record in records()}
        alone = {id: labels for id, labels in seen_alone().items() if labels["envctl.engine"] == self.name and id not in everything}
        return [*known.values(), *(_alone(id, labels) for id, labels in alone.items())]

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        """Processes first, those too that have lost their keeper; then their files."""
        from envctl.keeper.marks import kill_marked
        from envctl.keeper_client import keepers

        if not keepers.stop_processes(id, stop):
            kill_marked(id)
        LocalInstance(id).forget()
        folder = services_folder(id)
        shutil.rmtree(folder, ignore_errors=True)
        return [str(folder)] if folder.exists() else []

    def prune_images(self, all: bool) -> Sequence[str]:
        """What is kept here are initialised data directories."""
        from envctl.engines.local.templates import prune

        return prune(everything=all)


def _seen(record: Record) -> FoundInstance:
    states = LocalInstance(record.id).states().values()
    return FoundInstance(
        id=record.id,
        name=record.name,
        environment=record.environment,
        project=record.project,
        owner=record.owner,
        created=record.created,
        expires=record.expires,
        running=sum(state.running for state in states),
        total=len(record.services),
        done=sum(state.status == 0 for state in states),
    )


def _alone(id: str, labels: Mapping[str, str]) -> FoundInstance:
    name, owner = labels["envctl.name"], labels["envctl.owner"]
    return FoundInstance(id, name, labels["envctl.environment"], labels["envctl.project"], owner, "", None, running=1, total=1)


def open_engine(context: str | None, namespace: str | None = None) -> LocalEngine:
    from envctl.errors import EngineMissing

    refuse_namespace("this machine", namespace)

    if sys.platform == "win32":
        raise EngineMissing("local processes need Linux or macOS", hint="use Docker, or WSL")
    return LocalEngine()
