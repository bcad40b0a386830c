"""Helpers for tests: the command line as a process, a project folder, and the available engines.

ENVCTL_TEST_REQUIRE=docker,local names engines that must be available. The tests of other missing engines are skipped, and the engines are
named at the end.
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
"""The registry to which envctl pushes images that it builds, and from which the cluster under test pulls them."""
REQUIRED = [name for name in os.environ.get("ENVCTL_TEST_REQUIRE", "").split(",") if name]
NOTHING_KEPT = {"ENVCTL_NO_SNAPSHOTS": "1"}
"""Snapshots that are built in the background would outlive the tests; the tests of snapshots build them in the foreground."""
missing: dict[str, str] = {}


def engine_here(name: str) -> Engine:
    """Return the engine *name* as a command that starts now would open it.

    Raises:
        EnvctlError: The engine is not available.
    """
    from envctl.engines import open_engine

    return open_engine(Location(name), Session.here().host)


def why_not(engine: str) -> str:
    """Return why the engine is not available; empty if it is."""
    try:
        engine_here(engine)
    except EnvctlError as error:
        return error.message
    return ""


def labelled(label: str = "envctl.instance") -> list[str]:
    """Return the resources on Docker that carry the label *label*, each with its type, name, instance and project."""
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
    """Return the namespaces that are instances, with their projects; namespaces that are being deleted are left out."""
    words = ["kubectl", "get", "namespaces", "-l", "envctl.instance", "-o", "json"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["items"]
    there = [item["metadata"] for item in found if "deletionTimestamp" not in item["metadata"]]
    return {meta["name"]: meta.get("annotations", {}).get("envctl.project", "") for meta in there}


@dataclass(frozen=True)
class Done:
    """The exit code and output of a command that has ended."""

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
    """Run `envctl WORDS` as a process with piped output, forked from one that has imported envctl if that makes no difference."""
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
    """Return the fork server of this test process."""
    return ForkServer()


@dataclass(frozen=True)
class Project:
    """A project folder in which a test writes environments."""

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
