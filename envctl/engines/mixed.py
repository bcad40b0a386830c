"""Instances with services in two places: some are containers, some are processes of this machine (`--local`)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from envctl.engines.protocol import (
    AdmitsReaders,
    BringsKept,
    BuildsMeanwhile,
    CommandResult,
    Deployment,
    DeploymentSettings,
    Engine,
    Execution,
    KeepsData,
    KnewDataOtherwise,
    KnowsWhoBars,
    PreparesCommands,
    Progress,
    PublishesRecords,
    RunningInstance,
    Saved,
    ServiceState,
    SharesData,
    TerminalCommand,
)
from envctl.engines.registry import open_engine, process_engine
from envctl.errors import EnvctlError
from envctl.instance.record import Location, SnapshotRecord
from envctl.process.attached import Attached
from envctl.process.threads import merged
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.plan.model import Plan, ServicePlan

RELAYED = sys.platform == "linux"
"""Whether containers need a relay to reach this machine's loopback address; elsewhere, Docker Desktop provides a gateway to it."""


def running_instance(host: Host, location: Location, id: str, local: Collection[str]) -> RunningInstance:
    """Return the instance *id* at *location*; the services in *local* are processes of this machine.

    Raises:
        EngineMissing: the engine at *location* is not available.
    """
    there = open_engine(location, host).attach(id)
    if not local:
        return there
    from envctl.engines.local.instance import LocalInstance

    return MixedInstance(there, LocalInstance(host, id), frozenset(local))


def deployment_of(engine: Engine, host: Host, plan: Plan, settings: DeploymentSettings) -> Deployment:
    """Return the deployment of *plan*, with each service in its place; it also covers processes that an earlier `up` has left."""
    from envctl.engines.local.instance import LocalInstance

    local = plan.setting.local & plan.services.keys()
    before = engine.name != process_engine() and LocalInstance(host, plan.setting.id).specs()
    if not local and not before:
        return engine.deployment(plan, settings)
    here = replace(plan, services={name: service for name, service in plan.services.items() if name in local})
    there = replace(plan, services={name: service for name, service in plan.services.items() if name not in local})
    machine = open_engine(Location(process_engine()), host)
    outer = engine.deployment(there, settings)
    made = PublishingDeployment if isinstance(outer, PublishesRecords) else MixedDeployment
    return made(outer, machine.deployment(here, settings), local, host, plan)


def remove_everywhere(engine: Engine, host: Host, id: str, stop: Mapping[str, float], wait: bool = True) -> list[str]:
    """Remove everything with the label of *id*, and return what is left. Processes of this machine go first: they use the containers."""
    if engine.name == process_engine():
        return list(engine.remove(id, stop, wait))
    return [*open_engine(Location(process_engine()), host).remove(id, stop), *engine.remove(id, stop, wait)]


Side = TypeVar("Side", bound=RunningInstance)


@dataclass
class MixedInstance(Generic[Side]):
    """An instance with the services *names* as processes of this machine, and all others on an engine.

    Attributes:
        there: the services on the engine.
        here: the services that are processes.
        names: the names of the services that are processes.
    """

    there: Side
    here: Side
    names: frozenset[str]

    def _at(self, service: str) -> Side:
        return self.here if service in self.names else self.there

    def states(self) -> Mapping[str, ServiceState]:
        return {**self.there.states(), **self.here.states()}

    def state(self, service: str) -> ServiceState:
        return self._at(service).state(service)

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        return self._at(service).logs(service, tail)

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        here = [name for name in services if name in self.names]
        there = [name for name in services if name not in self.names]
        return merged([side.follow(names, tail) for side, names in ((self.there, there), (self.here, here)) if names])

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return self._at(service).interactive(service, argv, env, user)

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        self.there.renew(expires, labels)


@dataclass
class MixedDeployment(MixedInstance[Deployment]):
    """A mixed instance with its plan, which can be brought up."""

    host: Host
    plan: Plan

    def prepare(self, progress: Progress) -> None:
        self.here.prepare(progress)
        self.there.prepare(progress)

    def prepare_meanwhile(self, progress: Progress) -> None:
        self.here.prepare(progress)
        prepare_meanwhile(self.there, progress)

    def await_image(self, service: ServicePlan) -> None:
        at = self._at(service.name)
        if isinstance(at, BuildsMeanwhile):
            at.await_image(service)

    def create(self, *, whole: bool = True) -> None:
        """Create containers first: a container that becomes a process must release its port, and the network must get its address."""
        self.there.create(whole=whole)
        self.here.create(whole=whole)

    def start(self, service: ServicePlan) -> None:
        """Start the service, after removing relays of an earlier `up`: a process cannot listen on all addresses if a relay has the port."""
        for port in self._relayed(service) if not self.state(service.name).running else ():
            self._unrelay(port)
        self._at(service.name).start(service)

    def connect(self, service: ServicePlan) -> None:
        """Let containers reach the process, which listens by now."""
        for port in self._relayed(service):
            self._relay(port)

    def _relayed(self, service: ServicePlan) -> list[int]:
        return [port.outside or 0 for port in service.ports] if RELAYED and service.name in self.names else []

    def _unrelay(self, port: int) -> None:
        gateway, keeper = self.plan.setting.allocation.gateway, self.host.keepers.find(self.plan.setting.id)
        if keeper is not None and gateway:
            keeper.ask("DELETE", "/v1/relays", {"listen": [gateway, port]})

    def _relay(self, port: int) -> None:
        """Relay the port from the bridge's address to the loopback address, unless the process itself listens on the bridge's address."""
        gateway, keeper = self.plan.setting.allocation.gateway, self.host.keepers.find(self.plan.setting.id)
        if keeper is None or not gateway:
            missing = "keeper" if keeper is None else "network"
            raise EnvctlError(f"containers cannot reach port {port} of this machine: there is no {missing}")
        if _answers(gateway, port):
            return
        status, answer = keeper.ask("POST", "/v1/relays", {"listen": [gateway, port], "to": ["127.0.0.1", port]})
        if status != 201:
            raise EnvctlError(f"containers cannot reach this machine at {gateway}:{port}: {answer}")

    def stop(self, service: ServicePlan) -> None:
        self._at(service.name).stop(service)

    def discard(self, service: ServicePlan) -> None:
        self._at(service.name).discard(service)

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        with self.there.exit_events(on_exit, on_loss), self.here.exit_events(on_exit, on_loss):
            yield

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return self._at(service.name).exit_reason(service)

    def execute(self, service: str, what: Execution) -> CommandResult:
        return self._at(service).execute(service, what)

    def listening(self, service: str) -> Sequence[tuple[str, int]]:
        return self._at(service).listening(service)

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        at = self._at(service.name)
        if isinstance(at, PreparesCommands):
            at.prepare_command(service, argv)

    def admit(self, service: ServicePlan) -> None:
        at = self._at(service.name)
        if isinstance(at, AdmitsReaders):
            at.admit(service)

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        at = self._at(service.name)
        return at.barred(service) if isinstance(at, KnowsWhoBars) else None

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        return self._at(service.name).run_command(service, argv, attached)

    def data_id(self, service: ServicePlan) -> str:
        return self._at(service.name).data_id(service)

    def former_data_id(self, service: ServicePlan) -> str:
        at = self._at(service.name)
        return at.former_data_id(service) if isinstance(at, KnewDataOtherwise) else ""

    def staying(self, service: ServicePlan) -> Sequence[str]:
        at = self._at(service.name)
        return at.staying(service) if isinstance(at, SharesData) else []

    def place(self, service: ServicePlan) -> Location:
        return self._keeping(service.name).place(service)

    def identity(self, service: ServicePlan) -> str:
        return self._keeping(service.name).identity(service)

    def holds(self, service: ServicePlan) -> bool:
        return self._keeping(service.name).holds(service)

    @property
    def unable(self) -> str:
        return self.there.unable if isinstance(self.there, BringsKept) else ""

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress = lambda service, text: None) -> SnapshotRecord:
        at = self._at(service.name)
        return at.bring(service, kept, progress) if isinstance(at, BringsKept) else kept

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        for side in (self.here, self.there):
            if isinstance(side, KeepsData):
                side.restore(snapshots)

    def save(self, service: ServicePlan, key: str) -> Saved:
        return self._keeping(service.name).save(service, key)

    def _keeping(self, service: str) -> KeepsData:
        at = self._at(service)
        assert isinstance(at, KeepsData), "processes go with engines that reach them, and those keep data"
        return at

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return self._at(service.name).probe_ports(service)

    def finish(self, whole: Collection[str]) -> None:
        self.there.finish(whole)
        self.here.finish(whole)


class PublishingDeployment(MixedDeployment):
    """A mixed deployment whose engine also keeps the instance's record beside the instance."""

    def publish(self, document: Mapping[str, Any]) -> None:
        assert isinstance(self.there, PublishesRecords)
        self.there.publish(document)


def prepare_meanwhile(deployment: Deployment, progress: Progress) -> None:
    """Prepare *deployment*; if its engine supports it, return while images are still being built."""
    if isinstance(deployment, BuildsMeanwhile):
        deployment.prepare_meanwhile(progress)
    else:
        deployment.prepare(progress)


def _answers(host: str, port: int) -> bool:
    """Return whether the process itself or the relay of an earlier `up` listens there.

    A relay without a running process may reset a connection before the caller sees it as established.
    """
    try:
        socket.create_connection((host, port), 2).close()
    except ConnectionResetError:
        return True
    except OSError:
        return False
    return True
