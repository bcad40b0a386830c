"""Complete words in a shell: environments, instances, services, engines and formats. Errors are ignored: then nothing is offered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import typer

from envctl.errors import EnvctlError
from envctl.session import Session


def _offering(names: Callable[[Session, dict[str, Any]], Iterable[str]]) -> Callable[[typer.Context, str], list[str]]:
    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        with suppress(Exception):
            return sorted(name for name in names(Session.here(), ctx.params) if name.startswith(incomplete))
        return []

    return offer


def _typed() -> list[str]:
    """Return the words of the command line, without options. While an option's value is typed, Typer has not parsed the other words."""
    words = (os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or "").split()
    return [word for word in words[1:] if not word.startswith("-")]


def _environments(session: Session, _: dict[str, Any]) -> Iterable[str]:
    from envctl.definition.find import compose_files, environments

    return [*environments(session.cwd), *compose_files(session.cwd)]


def _instances(session: Session, _: dict[str, Any]) -> Iterable[str]:
    from envctl.inspect.lookup import records_here

    return [record.name for record in records_here(session)]


def _services(session: Session, given: dict[str, Any]) -> Iterable[str]:
    """Return the services of the instance or environment earlier on the command line."""
    from envctl.inspect.lookup import records_here

    instances = {} if _typed()[:1] in DEFINED else {record.name: record.services for record in records_here(session)}
    name = next((word for word in _named(given) if word in instances), "")
    return instances[name] if name else _keys(session, given, "services")


DEFINED = (["up"], ["run"], ["test"], ["render"], ["preview"])
"""Commands that complete services from the definition, not only those of an instance."""


def _tests(session: Session, given: dict[str, Any]) -> Iterable[str]:
    return _keys(session, given, "tests")


def _named(given: dict[str, Any]) -> Iterable[str]:
    """Yield words that may name an instance or an environment; they can include values of options."""
    return filter(None, [given.get("env"), given.get("name"), *_typed()[1:]])


def _keys(session: Session, given: dict[str, Any], key: str) -> Iterable[str]:
    """Return the names under *key* in the environment earlier on the command line."""
    from envctl.definition.find import find_environment
    from envctl.definition.source import read

    for name in _named(given):
        with suppress(EnvctlError):
            found = find_environment(name, session.cwd)
            return list((read(found.file, found.project).tree or {}).get(key, {}))
    return []


def _engines(_: Session, __: dict[str, Any]) -> Iterable[str]:
    from envctl.engines.registry import names

    return names()


def _formats(_: Session, __: dict[str, Any]) -> Iterable[str]:
    from envctl.outputs import FORMATS

    return FORMATS


ENVIRONMENTS, INSTANCES, SERVICES = _offering(_environments), _offering(_instances), _offering(_services)
TESTS, ENGINES, FORMATS = _offering(_tests), _offering(_engines), _offering(_formats)
