"""The engines there are. A new one is a folder beside this file with `engine.py`, `traits.py` and `doctor.py`, and its name here."""

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
"""Seconds until an engine has answered, whatever keeps it: those of a socket are some less, and their errors say more."""
_NAMES = ("docker", "kubernetes", "local")


def names() -> Sequence[str]:
    """The names that `--engine` takes."""
    return _NAMES


def traits(name: str) -> EngineTraits:
    """What a plan must know of the engine *name*; nothing is opened for it, and no SDK is imported.

    Raises:
        UsageError: there is no such engine.
    """
    if name not in _NAMES:
        raise UsageError(f"there is no engine '{name}'", hint=did_you_mean(name, _NAMES))
    found: EngineTraits = import_module(f"envctl.engines.{name}.traits").TRAITS
    return found


def findings(name: str, host: Host) -> Iterator[Finding]:
    """What `doctor` finds of the engine *name*; nothing is changed."""
    found: Iterator[Finding] = import_module(f"envctl.engines.{name}.doctor").findings(host)
    return found


def process_engine() -> str:
    """The name of the engine that runs services as processes of this machine."""
    return next(name for name in _NAMES if traits(name).runs_processes)


def services_folder(id: str, home: Path) -> Path:
    """Where services that are processes have their files; the instance's state is below *home*."""
    found: Path = import_module(f"envctl.engines.{process_engine()}.folders").services_folder(id, home)
    return found


def cluster_engine() -> str:
    """The name of the engine whose instances may be in a namespace with those of others."""
    return next(name for name in _NAMES if traits(name).shares_namespaces)


def open_engine(location: Location, host: Host) -> Engine:
    """The engine of that location.

    Raises:
        UsageError: there is no such engine, or a namespace is named and it has none.
        EngineMissing: what it needs is not there; the message says what to do.
    """
    told = traits(location.engine)
    if location.namespace is not None and not told.shares_namespaces:
        hint = f"it goes with `--engine {cluster_engine()}`"
        raise UsageError(f"--namespace {location.namespace}: {told.place} has no namespaces", hint=hint)
    module = import_module(f"envctl.engines.{location.engine}.engine")
    with signals.deadline(SILENCE, lambda: _silent(location)):
        engine: Engine = module.open_engine(location, host)
    return engine


def open_engines(locations: Sequence[Location], host: Host) -> dict[Location, Engine | EnvctlError]:
    """Those of *locations*, asked side by side: the silence of one is waited for once. What stops one is in its place."""
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
    return EngineMissing(f"{traits(place.engine).place} has said nothing for {SILENCE:g} s", hint="`envctl doctor` says what works here")
