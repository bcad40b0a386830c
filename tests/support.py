"""What tests share: the command line as a process, a project folder, which engines are here.

ENVCTL_TEST_REQUIRE=docker,local names engines whose absence is a failure; without it their tests are skipped, and the
missing engines are named at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.errors import EnvctlError
from envctl.instance.record import Location
from envctl.session import Session
from tests.fork_server import ForkServer, can_fork

if TYPE_CHECKING:
    from envctl.engines import Engine

REPO = Path(__file__).resolve().parent.parent
ENGINES = ("docker", "kubernetes", "local")
REGISTRY = os.environ.get("ENVCTL_TEST_REGISTRY", "127.0.0.1:5000")
"""Where the cluster under test pulls what is built here."""
REQUIRED = [name for name in os.environ.get("ENVCTL_TEST_REQUIRE", "").split(",") if name]
NOTHING_KEPT = {"ENVCTL_NO_SNAPSHOTS": "1"}
"""Twins in the background would outlive the tests that they are for: those of snapshots make them in the foreground."""
missing: dict[str, str] = {}


def engine_here(name: str) -> Engine:
    """The engine *name* as a command that is started now would open it.

    Raises:
        EnvctlError: it is not here.
    """
    from envctl.engines import open_engine

    return open_engine(Location(name), Session.here().host)


def why_not(engine: str) -> str:
    try:
        engine_here(engine)
    except EnvctlError as error:
        return error.message
    return ""


def labelled(label: str = "envctl.instance") -> list[str]:
    """What carries our label on Docker, with the project that it belongs to."""
    form = '{{.ID}} {{.Label "envctl.instance"}} {{.Label "envctl.project"}}'
    found = []
    for kind, options in (("container", ["ps", "-a"]), ("network", ["network", "ls"]), ("volume", ["volume", "ls"])):
        shown = form.replace(".ID", ".Name") if kind == "volume" else form
        done = subprocess.run(
            ["docker", *options, "--filter", f"label={label}", "--format", shown], capture_output=True, text=True, check=True
        )
        found += [f"{kind} {line}" for line in done.stdout.splitlines()]
    return found


def namespaces() -> dict[str, str]:
    """The namespaces that are instances, and the projects that they belong to; those that are on their way out are gone."""
    words = ["kubectl", "get", "namespaces", "-l", "envctl.instance", "-o", "json"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["items"]
    there = [item["metadata"] for item in found if "deletionTimestamp" not in item["metadata"]]
    return {meta["name"]: meta.get("annotations", {}).get("envctl.project", "") for meta in there}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ok(self) -> Done:
        assert self.status == 0, f"exit {self.status}\n{self.out}\n{self.err}"
        return self


def command(words: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300) -> Done:
    """`envctl WORDS` as a process of its own, piped; forked from one that has imported it, where that makes no difference."""
    ours = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or not key.startswith(("ENVCTL_", "PYTEST_XDIST_"))}
    environ = ours | dict(env or {})
    if can_fork(environ):
        ended = _forking().run(words, cwd, environ, timeout)
        return Done(ended.status, ended.out.decode(), ended.err.decode())
    done = subprocess.run(
        [sys.executable, "-m", "envctl", *words],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@cache
def _forking() -> ForkServer:
    """One of each process that runs tests."""
    return ForkServer()


@dataclass(frozen=True)
class Project:
    """A project folder whose environments are written by a test."""

    folder: Path
    engine: str = "docker"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def environment(self, name: str, text: str) -> None:
        self.write(f"environments/{name}.yaml", f"name: {name}\n{text}")

    def envctl(self, *words: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> Done:
        return command(list(words), self.folder, {"ENVCTL_ENGINE": self.engine, "ENVCTL_REGISTRY": REGISTRY, **(env or {})}, timeout)

    def down(self) -> None:
        self.envctl("down", "--all", "--no-wait")
