"""The engine: this machine, and the instances whose keepers hold processes on it."""

from __future__ import annotations

import shutil
import socket
import sys
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from envctl.engines.local.folders import services_folder
from envctl.engines.local.instance import SPECS, LocalInstance
from envctl.engines.local.traits import TRAITS
from envctl.engines.seam import DeploymentSettings, FoundInstance, Wanted
from envctl.errors import EngineMissing
from envctl.instance import labels
from envctl.instance.allocation import Allocation, PortKey
from envctl.instance.record import Location
from envctl.plan.traits import Addresses
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.engines.local.deployment import LocalDeployment
    from envctl.plan.model import Plan


@dataclass(frozen=True)
class LocalEngine:
    """This machine."""

    host: Host
    name: str = "local"
    _held: dict[PortKey, list[socket.socket]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weakref.finalize(self, _let_go, self._held)  # a process may bring up many

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Ports are held until their servers listen, or nobody needs this engine any more."""
        from envctl.engines.local.ports import hold_ports

        ports = {key: number for key, number in kept.ports.items() if key in wanted.ports}
        missing = {key: width for key, width in wanted.ports.items() if key not in ports}
        return Allocation(ports | hold_ports(missing, [*ports.values(), *taken], self._held))

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> LocalDeployment:
        from envctl.engines.local.deployment import LocalDeployment

        return LocalDeployment(self.host, plan.setting.id, plan=plan, settings=settings)

    def attach(self, id: str) -> LocalInstance:
        return LocalInstance(self.host, id)

    def list(self) -> Sequence[FoundInstance]:
        """Those with processes that are on disk, and those whose state is gone though their keepers run."""
        from envctl.keeper_client.starting import labels_of_keepers

        known = {found.id: found for found in self._on_disk()}
        alone = {
            id: _alone(id, told)
            for id, told in labels_of_keepers().items()
            if told[labels.ENGINE] == self.name and not self.host.folder(id).exists()
        }
        return [*known.values(), *alone.values()]

    def _on_disk(self) -> Iterator[FoundInstance]:
        for path in sorted(self.host.keepers.home.glob(f"*/{SPECS}")):
            instance = LocalInstance(self.host, path.parent.name)
            told = instance.labels()
            if told.get(labels.ENGINE) == self.name:
                yield _found(instance, told)

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        """Processes first, those too that have lost their keeper; then their files."""
        from envctl.keeper.marks import kill_marked

        if not self.host.keepers.stop_processes(id, stop):
            kill_marked(id)
        LocalInstance(self.host, id).forget()
        folder = services_folder(id, self.host.keepers.home)
        shutil.rmtree(folder, ignore_errors=True)
        return [str(folder)] if folder.exists() else []

    def prune(self, everything: bool) -> Sequence[str]:
        """What is kept here are initialised data directories."""
        from envctl.engines.local.templates import prune

        return [f"data directory {path}" for path in prune(everything=everything)]


def _let_go(held: Mapping[PortKey, Sequence[socket.socket]]) -> None:
    for each in chain.from_iterable(held.values()):
        each.close()


def _found(instance: LocalInstance, told: Mapping[str, str]) -> FoundInstance:
    states = instance.states().values()
    return FoundInstance(
        id=instance.id,
        name=told.get(labels.NAME, instance.id),
        environment=told.get(labels.ENVIRONMENT, ""),
        project=told.get(labels.PROJECT, ""),
        owner=told.get(labels.OWNER, ""),
        created="",
        expires=None,
        running=sum(state.running for state in states),
        total=len(instance.specs()),
        done=sum(state.status == 0 for state in states),
    )


def _alone(id: str, told: Mapping[str, str]) -> FoundInstance:
    name, owner = told[labels.NAME], told[labels.OWNER]
    return FoundInstance(id, name, told[labels.ENVIRONMENT], told[labels.PROJECT], owner, "", None, running=1, total=1)


def open_engine(location: Location, host: Host) -> LocalEngine:
    """
    Raises:
        EngineMissing: this is no system for it.
    """
    if sys.platform == "win32":
        raise EngineMissing("local processes need Linux or macOS", hint="use Docker, or WSL")
    return LocalEngine(host)
