"""Instances whose services have places of their own: some are containers, some are processes of this machine (`--local`)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.engines import (
    CommandResult,
    Deployment,
    Engine,
    Execution,
    Progress,
    RunningInstance,
    ServiceState,
    TerminalCommand,
    open_engine,
)
from envctl.engines.local.instance import LocalInstance
from envctl.errors import EnvctlError
from envctl.process.threads import merged

if TYPE_CHECKING:
    from envctl.instance import Record
    from envctl.plan.model import Plan, ServicePlan

RELAYED = sys.platform == "linux"
"""Elsewhere containers reach this machine's loopback address through the gateway that Docker Desktop gives them."""


def running_instance(record: Record) -> RunningInstance:
    """The instance of *record*, wherever its services are.

    Raises:
        EngineMissing: its engine is not there.
    """
    engine = open_engine(*record.location)
    there = engine.attach(record.id)
    return Beside(there, LocalInstance(record.id), frozenset(record.local)) if record.local else there


def open_deployment(engine: Engine, plan: Plan, folder: Path) -> Deployment:
    """The project of *plan*, each service in its place."""
    local = plan.setting.local & plan.services.keys()
    before = engine.name != "local" and LocalInstance(plan.setting.id).specs()
    if not local and not before:
        return engine.deployment(plan, folder)
    here = replace(plan, services={name: service for name, service in plan.services.items() if name in local})
    there = replace(plan, services={name: service for name, service in plan.services.items() if name not in local})
    return Together(engine.deployment(there, folder), open_engine("local").deployment(here, folder), local, plan)


@dataclass
class Beside:
    """Services of an engine, and those in *names* beside them."""

    there: RunningInstance
    here: RunningInstance
    names: frozenset[str]

    def of(self, service: str) -> RunningInstance:
        return self.here if service in self.names else self.there

    def states(self) -> Mapping[str, ServiceState]:
        return {**self.there.states(), **self.here.states()}

    def state(self, service: str) -> ServiceState:
        return self.of(service).state(service)

    def execute(self, service: str, what: Execution) -> CommandResult:
        return self.of(service).execute(service, what)

    def logs(self, service: str, tail: int | None = None) -> str:
        return self.of(service).logs(service, tail)

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        parts = {side: [name for name in services if self.of(name) is side] for side in (self.there, self.here)}
        return merged([side.follow(names, tail) for side, names in parts.items() if names])

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return self.of(service).interactive(service, argv, env, user)

    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None:
        self.there.renew(expires, marks)

    def __hash__(self) -> int:
        return id(self)


class Together(Beside):
    """The same with its plan: what brings it up."""

    def __init__(self, there: Deployment, here: Deployment, names: frozenset[str], plan: Plan) -> None:
        super().__init__(there, here, names)
        self.project_there, self.project_here, self.plan = there, here, plan

    def project_of(self, service: ServicePlan) -> Deployment:
        return self.project_here if service.name in self.names else self.project_there

    def prepare(self, say: Progress) -> None:
        self.project_here.prepare(say)
        self.project_there.prepare(say)

    def create(self, *, whole: bool = True) -> None:
        """Containers first: one that gives its place to a process lets go of its port, and the network gets its address."""
        self.project_there.create(whole=whole)
        self.project_here.create(whole=whole)

    def start(self, service: ServicePlan) -> None:
        """A process gets its relay each time: it went with the keeper that had it."""
        self.project_of(service).start(service)
        for port in service.ports if RELAYED and service.name in self.names else ():
            _relay(self.plan.setting.id, self.plan.setting.allocation.gateway, port.outside or 0)

    def stop(self, service: ServicePlan) -> None:
        self.project_of(service).stop(service)

    def discard(self, service: ServicePlan) -> None:
        self.project_of(service).discard(service)

    def exit_events(self, died: Callable[[str, int], None]) -> AbstractContextManager[None]:
        return _all([self.project_there.exit_events(died), self.project_here.exit_events(died)])

    def finish(self) -> None:
        self.project_there.finish()
        self.project_here.finish()

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return self.project_of(service).exit_reason(service)

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        self.project_of(service).prepare_command(service, argv)

    def run_command(self, service: ServicePlan, argv: Sequence[str]) -> CommandResult:
        return self.project_of(service).run_command(service, argv)

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return self.project_of(service).probe_ports(service)

    def data_id(self, service: ServicePlan) -> str:
        return self.project_of(service).data_id(service)


@contextmanager
def _all(contexts: Iterable[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


def _relay(id: str, gateway: str, port: int) -> None:
    """Containers reach the process at the bridge's own address, which nobody else has; it listens on loopback alone."""
    from envctl.keeper_client import keepers

    keeper = keepers.find(id)
    if keeper is None or not gateway:
        raise EnvctlError(f"containers cannot reach port {port} of this machine: there is no {'keeper' if keeper is None else 'network'}")
    status, answer = keeper.ask("POST", "/v1/relays", {"listen": [gateway, port], "to": ["127.0.0.1", port]})
    if status != 201 and not _answers(gateway, port):
        raise EnvctlError(f"containers cannot reach this machine at {gateway}:{port}: {answer}")


def _answers(host: str, port: int) -> bool:
    """Whether the relay of an earlier `up` is there."""
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True
