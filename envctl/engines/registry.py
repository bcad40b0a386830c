"""The list of engines. A new engine is a folder beside this file with `engine.py`, `traits.py` and `doctor.py`, and a name in `_NAMES`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from envctl.errors import EngineMissing, EnvctlError, UsageError, did_you_mean
from envctl.instance.record import Location
from envctl.plan.traits import EngineTraits
from envctl.process import signals
from envctl.process.threads import begun

if TYPE_CHECKING:
    from envctl.engines.protocol import Engine, Finding
    from envctl.session.session import Host

SILENCE = 12.0
"""The seconds to wait for an engine to answer. Timeouts of single sockets are some seconds shorter, because their errors say more."""
_NAMES = ("docker", "kubernetes", "local")


def names() -> Sequence[str]:
    """Return the names that `--engine` accepts."""
    return _NAMES


def traits(name: str) -> EngineTraits:
    """Return what a plan must know about the engine *name*; this opens nothing and imports no SDK.

    Raises:
        UsageError: there is no such engine.
    """
    if name not in _NAMES:
        raise UsageError(f"there is no engine '{name}'", hint=did_you_mean(name, _NAMES))
    found: EngineTraits = import_module(f"envctl.engines.{name}.traits").TRAITS
    return found


def findings(name: str, host: Host) -> Iterator[Finding]:
    """Return what `doctor` finds out about the engine *name*; this changes nothing."""
    found: Iterator[Finding] = import_module(f"envctl.engines.{name}.doctor").findings(host)
    return found


def process_engine() -> str:
    """Return the name of the engine that runs services as processes of this machine."""
    return next(name for name in _NAMES if traits(name).runs_processes)


def services_folder(id: str, home: Path) -> Path:
    """Return the folder with the files of the services of instance *id* that are processes; its state is below *home*."""
    found: Path = import_module(f"envctl.engines.{process_engine()}.folders").services_folder(id, home)
    return found


def cluster_engine() -> str:
    """Return the name of the engine that can put several instances into one namespace."""
    return next(name for name in _NAMES if traits(name).shares_namespaces)


def open_engine(location: Location, host: Host) -> Engine:
    """Open the engine at *location*.

    Raises:
        UsageError: there is no such engine, or *location* has a namespace and the engine does not support namespaces.
        EngineMissing: something that the engine needs is missing, or it does not answer; the message says what to do.
    """
    told = traits(location.engine)
    if location.namespace is not None and not told.shares_namespaces:
        hint = f"use it with `--engine {cluster_engine()}`"
        raise UsageError(f"--namespace {location.namespace}: {told.place} has no namespaces", hint=hint)
    module = import_module(f"envctl.engines.{location.engine}.engine")
    with signals.deadline(SILENCE, lambda: _silent(location)):
        engine: Engine = module.open_engine(location, host)
    return engine


def open_engines(locations: Sequence[Location], host: Host) -> dict[Location, Engine | EnvctlError]:
    """Open the engines at *locations* in parallel; the value is an engine, or the error that opening it raised.

    All of them together have `SILENCE` seconds.
    """
    asked = {place: begun(partial(open_engine, place, host), f"open-{place.engine}") for place in locations}
    end = monotonic() + SILENCE
    return {place: _answer(place, answer, end) for place, answer in asked.items()}


def _answer(place: Location, answer: Future[Engine], end: float) -> Engine | EnvctlError:
    try:
        return answer.result(max(0.0, end - monotonic()))
    except TimeoutError:
        return _silent(place)
    except EnvctlError as error:
        return error


def _silent(place: Location) -> EngineMissing:
    return EngineMissing(f"{traits(place.engine).place} did not answer for {SILENCE:g} s", hint="`envctl doctor` says what works here")
