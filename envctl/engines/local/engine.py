"""The local engine: this machine, and the instances whose keepers run processes on it."""

from __future__ import annotations

import os
import shutil
import sys
import time
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.engines.free_ports import HeldPorts, allocate_ports
from envctl.engines.local import snapshots
from envctl.engines.local.folders import cache_folder, services_folder
from envctl.engines.local.instance import SPECS, LocalInstance
from envctl.engines.local.traits import TRAITS
from envctl.engines.protocol import DeploymentSettings, FoundInstance, Wanted
from envctl.errors import EngineMissing
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.instance.folder import snapshots_folder, usable, why_foreign
from envctl.instance.record import Location
from envctl.keeper_client.client import KeeperSilent
from envctl.plan.traits import Addresses
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.engines.local.deployment import LocalDeployment
    from envctl.plan.model import Plan

PAUSES = (0.05, 0.2, 0.5, 1.0)
"""The seconds before each further attempt to remove the files of an instance."""


@dataclass(frozen=True)
class LocalEngine:
    """The engine on this machine."""

    host: Host
    name: str = "local"
    _held: HeldPorts = field(default_factory=HeldPorts)

    def __post_init__(self) -> None:
        weakref.finalize(self, self._held.let_go)  # one process may bring up many instances

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Reserve the ports until their servers listen, or until this engine object is no longer used."""
        return Allocation(allocate_ports(wanted.ports, kept.ports, taken, self._held.hold))

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> LocalDeployment:
        from envctl.engines.local.deployment import LocalDeployment

        return LocalDeployment(self.host, plan.setting.id, plan=plan, settings=settings)

    def attach(self, id: str) -> LocalInstance:
        return LocalInstance(self.host, id)

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        """Return the instances with processes whose state is on disk, and those whose keepers run although their state is gone."""
        found = [*self._on_disk(), *self._by_keepers()]
        return [each for each in found if id in ("", each.id)]

    def _by_keepers(self) -> Iterator[FoundInstance]:
        from envctl.keeper_client.starting import FOLDER, labels_of_keepers

        for id, told in labels_of_keepers().items():
            if told[labels.ENGINE] == self.name and not self.host.folder(id).exists():
                yield FoundInstance.labelled(id, told, running=1, total=1)._replace(kept=os.path.isdir(told[FOLDER]))

    def _on_disk(self) -> Iterator[FoundInstance]:
        home = self.host.keepers.home
        with usable(home):  # HOME may be another user's
            found = sorted(home.glob(f"*/{SPECS}"))
        for path in found:
            if why_foreign(path.parent):
                continue  # the record store reports it
            instance = LocalInstance(self.host, path.parent.name)
            told = instance.labels()
            if told.get(labels.ENGINE) == self.name:
                running, done = _counted(instance)
                yield FoundInstance.labelled(instance.id, told, running=running, total=len(instance.specs()), done=done)

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        """Remove the processes, including those that have lost their keeper; then remove their files."""
        from envctl.keeper.process_marks import kill_marked

        folder = services_folder(id, self.host.keepers.home)
        if not self.host.keepers.stop_processes(id, stop):
            kill_marked(id, folder=os.path.realpath(folder))
        LocalInstance(self.host, id).forget()
        shutil.rmtree(folder, ignore_errors=True)
        # A running keeper must not be killed: it still watches the process that removes the instance.
        keeper = [found.pid for found in [self.host.keepers.find(id)] if found is not None]
        for pause in PAUSES:
            if not folder.exists():
                break
            # A program that was being started while the others were killed may have written files since.
            time.sleep(pause)
            kill_marked(id, folder=os.path.realpath(folder), spared=keeper)
            shutil.rmtree(folder, ignore_errors=True)
        return [str(folder)] if folder.exists() else []

    def prune(self, everything: bool) -> Sequence[str]:
        """Remove initialised data directories, which are this engine's cache."""
        from envctl.engines.local.templates import prune

        return [f"data directory {path}" for path in prune(cache_folder(self.host.environ), everything=everything)]

    keeps_at = ""

    @property
    def _home(self) -> Path:
        return snapshots_folder(self.host.environ)

    def has(self, ref: str, content: str) -> bool:
        return snapshots.content(self._home, ref) == content

    def remove_kept(self, ref: str) -> bool:
        return snapshots.remove(self._home, ref)

    def kept(self) -> Sequence[tuple[str, str]]:
        return snapshots.kept(self._home)

    def write_kept(self, ref: str, file: Path) -> None:
        snapshots.write(self._home, ref, file)

    def read_kept(self, ref: str, file: Path) -> str:
        return snapshots.read(self._home, ref, file)


def _counted(instance: LocalInstance) -> tuple[int, int]:
    """Return how many processes run, and how many have ended with 0.

    If the keeper does not answer, all count as running: its processes exist as long as the keeper does.
    """
    try:
        states = instance.states().values()
    except KeeperSilent:
        return len(instance.specs()), 0
    return sum(state.running for state in states), sum(state.status == 0 for state in states)


def open_engine(location: Location, host: Host) -> LocalEngine:
    """Return the engine on this machine.

    Raises:
        EngineMissing: this operating system is not supported.
    """
    if sys.platform == "win32":
        raise EngineMissing("local processes need Linux or macOS", hint="use Docker, or WSL")
    return LocalEngine(host)
