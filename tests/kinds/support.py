"""What the tests of kinds share: environments that are up, awkward credentials, waiting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from tests_support import Done, Project

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
    """An environment that is up: what `up --json` printed, and the outputs of the same without `outputs:`."""

    project: Project
    name: str
    shown: Mapping[str, Any]
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, output: str) -> str:
        return str(self.shown["outputs"][output])

    def execute(self, service: str, *argv: str) -> Done:
        return self.project.envctl("exec", self.name, service, "--", *argv)

    def defaults_of(self, service: str) -> dict[str, str]:
        """Property, small, to its default output."""
        prefix = f"{service}_".upper().replace("-", "_")
        return {key.removeprefix(prefix).lower(): value for key, value in self.defaults.items() if key.startswith(prefix)}


def bring_up(project: Project, name: str, services: str, outputs: Mapping[str, str]) -> Running:
    """The environment without `outputs:` first, then with them: nothing restarts for it."""
    project.environment(name, services)
    first = project.envctl("up", name, "--json").ok().json
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in outputs.items())
    project.environment(name, f"{services}\noutputs:\n{lines}" if lines else services)
    second = project.envctl("up", name, "--json").ok().json
    assert {k: v["endpoints"] for k, v in first["services"].items()} == {k: v["endpoints"] for k, v in second["services"].items()}
    return Running(project, name, second, first["outputs"])


def refused(project: Project, service: str, *words: str) -> None:
    """A definition with this one service is refused, before anything starts, by an error with all of *words*."""
    project.environment("refused", f"services:\n  one: {service}\n")
    done = project.envctl("validate", "refused")
    assert done.status == 2, done
    for word in ("refused.yaml:3:", *words):
        assert word in done.err


def eventually(look: Callable[[], Found | None], what: str, seconds: float = 30.0) -> Found:
    """What *look* finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")
