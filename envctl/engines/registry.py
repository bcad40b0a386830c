"""The engines there are. A new one is a folder beside this file with `open_engine` and `traits.py`, and its name here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from envctl.errors import UsageError, did_you_mean
from envctl.plan.traits import EngineTraits

if TYPE_CHECKING:
    from envctl.engines import Engine

_NAMES = ("docker", "kubernetes", "local")


def names() -> Sequence[str]:
    """The names that `--engine` takes."""
    return _NAMES


def traits(name: str) -> EngineTraits:
    """What a plan must know of the engine *name*; nothing is opened for it, and no SDK is imported.

    Raises:
        UsageError: there is no such engine.
    """
    _check(name)
    found: EngineTraits = import_module(f"envctl.engines.{name}.traits").TRAITS
    return found


def open_engine(name: str, context: str | None = None, namespace: str | None = None) -> Engine:
    """The engine of that name; *context* is the daemon or cluster, *namespace* a part of it that others use too.

    Raises:
        UsageError: there is no such engine.
        EngineMissing: what it needs is not there; the message says what to do.
    """
    _check(name)
    engine: Engine = import_module(f"envctl.engines.{name}").open_engine(context, namespace)
    return engine


def _check(name: str) -> None:
    if name not in _NAMES:
        raise UsageError(f"there is no engine '{name}'", hint=did_you_mean(name, _NAMES))
