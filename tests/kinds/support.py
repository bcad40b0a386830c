"""Shared helpers for tests of kinds: environments that are up, credentials with special characters, and waiting."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from envctl.definition.expressions import references
from envctl.definition.kinds import Kinds, load_kinds
from envctl.engines.local.programs import find_program
from envctl.session import Session
from envctl.units import Driver, opened
from tests.support import Done, Project

Found = TypeVar("Found")

PASSWORD = "p'a\"s$s#w%r\\d wö rd ${x} $$ `id` @:/"
USERNAME = "o'b\"r$i#e%n\\ zö ${x}"


def text(value: str) -> str:
    """Return *value* as a scalar of a definition, whatever characters it contains."""
    return json.dumps(value.replace("${", "$${"), ensure_ascii=False)


@dataclass(frozen=True)
class Url:
    """The parts of a URL, decoded as clients decode them."""

    host: str
    port: int
    username: str
    password: str
    path: str

    @classmethod
    def of(cls, url: str) -> Url:
        parts = urlsplit(url)
        assert parts.port is not None
        assert parts.hostname is not None
        return cls(parts.hostname, parts.port, unquote(parts.username or ""), unquote(parts.password or ""), unquote(parts.path[1:]))


@dataclass(frozen=True)
class Running:
    """An environment that is up.

    A test that uses a service which this engine cannot run, or an output of such a service, is skipped.

    Attributes:
        shown: the document that `up --json` printed.
        defaults: the outputs of the same environment without `outputs:`.
        without: why a service or an output is not available here.
    """

    project: Project
    name: str
    shown: Mapping[str, Any]
    defaults: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, output: str) -> str:
        self.needs(output)
        return str(self.shown["outputs"][output])

    def needs(self, name: str) -> None:
        if name in self.without:
            pytest.skip(self.without[name])

    def execute(self, service: str, *argv: str) -> Done:
        self.needs(service)
        return self.project.envctl("exec", self.name, service, "--", *argv)

    @contextmanager
    def units(self, service: str) -> Iterator[Driver]:
        """Yield a connected driver for the units of *service*."""
        self.needs(service)
        record = Session.here().store.load(self.shown["id"])
        assert record is not None
        unit = record.services[service].unit
        assert unit is not None
        with opened(unit.driver, unit.server) as driver:
            yield driver

    def defaults_of(self, service: str) -> dict[str, str]:
        """Return the default outputs of *service*, by property name in lower case."""
        self.needs(service)
        prefix = f"{service}_".upper().replace("-", "_")
        return {key.removeprefix(prefix).lower(): value for key, value in self.defaults.items() if key.startswith(prefix)}


def bring_up(project: Project, name: str, services: str, outputs: Mapping[str, str]) -> Running:
    """Bring the environment up without `outputs:` and then with them; check that no endpoint changes in between."""
    without = {} if project.engine != "local" else unrunnable(project, services)
    if without:
        services = json.dumps({"services": {key: tree for key, tree in _services(services).items() if key not in without}})[1:-1]
        lost = {key: why for key, value in outputs.items() for service, why in without.items() if _refers(value, service)}
        outputs, without = {key: value for key, value in outputs.items() if key not in lost}, without | lost
    project.environment(name, services)
    first = project.envctl("up", name, "--json").ok().json
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in outputs.items())
    project.environment(name, f"{services}\noutputs:\n{lines}" if lines else services)
    second = project.envctl("up", name, "--json").ok().json
    assert {k: v["endpoints"] for k, v in first["services"].items()} == {k: v["endpoints"] for k, v in second["services"].items()}
    return Running(project, name, second, first["outputs"], without)


def unrunnable(project: Project, services: str) -> dict[str, str]:
    """Return the services that cannot run as local processes, with the reasons; skip the test if no service can."""
    kinds, found = load_kinds(project.folder), _services(services)
    without = {name: why for name, tree in found.items() if (why := why_not_here(kinds, tree.get("kind", "service")))}
    if len(without) == len(found):
        pytest.skip("; ".join(without.values()))
    return without


def why_not_here(kinds: Kinds, name: str) -> str:
    kind = kinds[name]
    if kind.own:
        return ""
    if kind.local is None:
        return f"{kind.kind} only runs in a container"
    return "" if find_program(kind.local, "", os.environ.get("PATH")) else f"no program for {kind.kind} here: {kind.local.install}"


def _services(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text)["services"])


def _refers(text: str, service: str) -> bool:
    return any(reference.root == service for reference in references(text, [service]))


def refused(project: Project, kind: str, key: str, values: Sequence[str], word: str = "") -> None:
    """Check that `validate` refuses each of *values* for the key of *kind*, each on its own line, with *word* in the message."""
    lines = [f"  s{number}: {{kind: {kind}, with: {{{key}: {text(value)}}}}}\n" for number, value in enumerate(values)]
    project.environment("refused", "services:\n" + "".join(lines))
    done = project.envctl("validate", "refused")
    assert done.status == 2, done
    said = [line for line in done.err.splitlines() if "refused.yaml:" in line]
    assert len(said) == len(values), done.err
    for number, line in enumerate(said):
        assert f"refused.yaml:{number + 3}: services.s{number}.with.{key}: " in line
        assert word in line


def eventually(look: Callable[[], Found | None], what: str, seconds: float = 30.0) -> Found:
    """Return the first true result of *look*; raise AssertionError after *seconds*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")
