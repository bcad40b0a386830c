"""The engines that there are; each is a folder here, imported when it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from envctl.engines.docker.traits import DOCKER
from envctl.engines.kubernetes.traits import KUBERNETES
from envctl.engines.local.traits import LOCAL
from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import Location
from envctl.plan.traits import EngineTraits

if TYPE_CHECKING:
    from envctl.engines.seam import Engine
    from envctl.session.host import Host

ENGINES = {each.name: each for each in (DOCKER, KUBERNETES, LOCAL)}


def traits(name: str) -> EngineTraits:
    """What is different about the engine of that name.

    Raises:
        UsageError: there is no such engine.
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine '{name}'", hint=did_you_mean(name, list(ENGINES)))
    return ENGINES[name]


def processes() -> str:
    """The engine that runs services as processes of this machine."""
    return next(name for name, each in ENGINES.items() if each.runs_processes)


def open_engine(location: Location, host: Host) -> Engine:
    """The engine of that location.

    Raises:
        UsageError: there is no such engine, or it has no namespaces and one is named.
        EngineMissing: what it needs is not there; the message says what to do.
    """
    told = traits(location.engine)
    if location.namespace is not None and not told.has_namespaces:
        hint = f"it goes with `--engine {next(name for name, each in ENGINES.items() if each.has_namespaces)}`"
        raise UsageError(f"--namespace {location.namespace}: {told.place} has no namespaces", hint=hint)
    engine: Engine = import_module(f"envctl.engines.{location.engine}.engine").open_engine(location, host)
    return engine
