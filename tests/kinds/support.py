"""What the tests of kinds share: environments that are up, awkward credentials, waiting."""

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
    """*value* as a scalar of a definition, whatever it contains."""
    return json.dumps(value.replace("${", "$${"), ensure_ascii=False)


@dataclass(frozen=True)
class Url:
    """A URL taken apart as clients do it."""

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
    """An environment that is up: what `up --json` printed, and the outputs of the same without `outputs:`.

    Who asks for a service that this engine cannot run, or for an output of one, is skipped; *without* says why.
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
        """The driver of its units, connected."""
        self.needs(service)
        record = Session.here().store.load(self.shown["id"])
        assert record is not None
        unit = record.services[service].unit
        assert unit is not None
        with opened(unit.driver, unit.server) as driver:
            yield driver

    def defaults_of(self, service: str) -> dict[str, str]:
        """Property, small, to its default output."""
        self.needs(service)
        prefix = f"{service}_".upper().replace("-", "_")
        return {key.removeprefix(prefix).lower(): value for key, value in self.defaults.items() if key.startswith(prefix)}


def bring_up(project: Project, name: str, services: str, outputs: Mapping[str, str]) -> Running:
    """The environment without `outputs:` first, then with them: nothing restarts for it."""
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
    """The services that this machine cannot run as processes, and why; where it can run none, there is nothing to test."""
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
    """A definition with a service of *kind* for each of *values* is refused: each value on its line, with *word*."""
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
    """What *look* finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")
