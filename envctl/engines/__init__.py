"""The seam between the orchestrator and what runs services: only the verbs that the orchestrator calls.

An engine is a module of this folder with `open_engine(context, namespace) -> Engine`; it is imported when it is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from envctl.engines.registry import open_engine
from envctl.errors import EnvctlError, UsageError
from envctl.plan.traits import Addresses

if TYPE_CHECKING:
    from envctl.plan.model import Plan, PortKey, ServicePlan


class PortTaken(EnvctlError):
    """A chosen port was taken by somebody between the choice and the start."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class SubnetTaken(EnvctlError):
    """The chosen subnet overlaps with somebody's network."""


@dataclass(frozen=True)
class CommandResult:
    """How a command ended: its exit status, and what it printed (both streams)."""

    status: int
    output: str


@dataclass(frozen=True)
class ServiceState:
    """A service as its engine sees it now."""

    running: bool
    status: int | None = None
    health: str = ""
    restarts: bool = False
    """Its engine starts it again when it ends."""
    id: str = ""


@dataclass(frozen=True)
class FoundInstance:
    """An instance that an engine found by its labels."""

    id: str
    name: str
    environment: str
    project: str
    owner: str
    created: str
    expires: str | None
    running: int
    total: int
    done: int = 0
    """Services that have ended well, as jobs do."""


Progress = Callable[[str, str], None]
"""Tells the user of progress: a service (or nothing) and what happens to it."""


@dataclass(frozen=True)
class Execution:
    """A command inside a service."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Iterable[bytes] = ()


@dataclass(frozen=True)
class TerminalCommand:
    """What to start on this terminal so that it runs inside a service; secrets are in the environment, where nobody else sees them."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None


class RunningInstance(Protocol):
    """An instance that is there, known by its id alone."""

    def states(self) -> Mapping[str, ServiceState]: ...
    def state(self, service: str) -> ServiceState: ...
    def execute(self, service: str, what: Execution) -> CommandResult: ...
    def logs(self, service: str, tail: int | None = None) -> str: ...
    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]: ...
    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None: ...
    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand: ...


class Deployment(RunningInstance, Protocol):
    """An instance with its plan: what brings it up."""

    def prepare(self, say: Progress) -> None: ...
    def create(self, *, whole: bool = True) -> None: ...
    def start(self, service: ServicePlan) -> None: ...
    def stop(self, service: ServicePlan) -> None: ...
    def discard(self, service: ServicePlan) -> None: ...
    def exit_events(self, died: Callable[[str, int], None]) -> AbstractContextManager[None]: ...
    def exit_reason(self, service: ServicePlan) -> EnvctlError | None: ...
    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None: ...
    def run_command(self, service: ServicePlan, argv: Sequence[str]) -> CommandResult: ...
    def finish(self) -> None: ...
    def data_id(self, service: ServicePlan) -> str: ...
    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]: ...


class Engine(Protocol):
    """What can run instances here."""

    name: str

    def addresses(self) -> Addresses: ...
    def free_ports(self, wanted: Mapping[PortKey, int], taken: Iterable[int]) -> Mapping[PortKey, int]: ...
    def free_subnet(self, id: str, size: int, refused: Iterable[str]) -> str | None: ...
    def deployment(self, plan: Plan, folder: Path) -> Deployment: ...
    def attach(self, id: str) -> RunningInstance: ...
    def list(self) -> Sequence[FoundInstance]: ...
    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]: ...
    def prune_images(self, all: bool) -> Sequence[str]: ...


def refuse_namespace(where: str, namespace: str | None) -> None:
    """
    Raises:
        UsageError: there is one.
    """
    if namespace is not None:
        raise UsageError(f"--namespace {namespace}: {where} has no namespaces", hint="it goes with `--engine kubernetes`")


__all__ = [
    "Addresses", "CommandResult", "Deployment", "Engine", "Execution", "FoundInstance", "PortTaken", "Progress", "RunningInstance",
    "ServiceState", "SubnetTaken", "TerminalCommand", "open_engine", "refuse_namespace",
]  # fmt: skip
