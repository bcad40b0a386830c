"""Run the documented workflows on this machine with `act`, as a hosted runner would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.support import NOTHING_KEPT, REPO, missing

ACTION = "envctl-testing/envctl@v0.1.0"
STAND_INS = Path(__file__).parent / "actions"

SHOP = """
variables: {pg: "17"}
services:
  db:
    kind: postgres
    with: {username: shop}
    seed: [{sql: seed.sql}]
outputs: {DB_URL: "${db.url}", PG: "${var.pg}"}
tests:
  api: {run: python3 ../tests/api.py, reports: ["results/*.xml"]}
"""
API = """
import os, pathlib, sys, urllib.parse
import pg8000.native
url = urllib.parse.urlsplit(os.environ["DB_URL"])
db = pg8000.native.Connection(url.username, host=url.hostname, port=url.port, password=url.password, database=url.path[1:])
name = f"{os.path.basename(sys.argv[0])[:-3]}{''.join(sys.argv[1:2])}"
red = pathlib.Path(__file__).with_name("red").exists() or (not db.run("select count(*) from shelf")[0][0] and "no row")
failure = f"<failure message='{red}'/>" if red else ""
pathlib.Path("results").mkdir(exist_ok=True)
pathlib.Path(f"results/{name}.xml").write_text(f"<testsuite><testcase name='{name}'>{failure}</testcase></testsuite>")
print("looked at", url.port, "PG", os.environ["PG"], os.environ["ENVCTL_INSTANCE"], flush=True)
sys.exit(bool(red))
"""


class Act(NamedTuple):
    """A project with the documented workflows.

    Attributes:
        kept: The folder that receives the uploads and caches of the jobs.
    """

    folder: Path
    kept: Path
    home: Path

    def run(
        self, workflow: str, engine: str = "local", *, event: str = "pull_request", more: Sequence[str] = (),
        instead: tuple[str, str] = ("", ""), within: Sequence[str] = (), **variables: str,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run one of the workflows of `docs/ci/`, unchanged except that it uses envctl from this checkout.

        Args:
            more: More arguments for act.
            instead: A text in the workflow and its replacement.
            within: The command that runs act.
        """
        text = yaml.safe_load((REPO / "docs" / "ci" / f"{workflow}.yaml").read_text().replace("\non:", '\n"on":').replace(*instead))
        for step in (step for job in text["jobs"].values() for step in job["steps"] if step.get("uses") == ACTION):
            step["with"] = {**step.get("with", {}), "version": "installed"}
        path = self.folder / ".github" / "workflows" / f"{workflow}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{threading.get_ident()}")  # several threads may run workflows at once
        beside.write_text(yaml.safe_dump(text, sort_keys=False))
        beside.replace(path)
        local = [f"--local-repository={ACTION}={self.home / 'action'}"]
        local += [f"--local-repository=actions/{each.name}@v4={each}" for each in STAND_INS.iterdir() if each.is_dir()]
        kept = {name: os.environ[name] for name in ("XDG_STATE_HOME", *NOTHING_KEPT)}
        told = {**kept, "PATH": self._path, "KEPT_HERE": str(self.kept), "ENVCTL_ENGINE": engine, **variables}
        return subprocess.run(
            [
                *within, Path(sys.executable).with_name("act"), event, "-W", str(path), "-P", "ubuntu-latest=-self-hosted",
                "--no-cache-server", *local, *(word for name, value in told.items() for word in ("--env", f"{name}={value}")),
                *more,
            ],
            cwd=self.folder, env={"HOME": str(self.home), **told}, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    @property
    def _path(self) -> str:
        return f"{self.home}/bin:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def act(tmp_path_factory: pytest.TempPathFactory) -> Act:
    if "docker" in missing:
        pytest.skip(f"no Docker here: {missing['docker']}")
    if not Path(sys.executable).with_name("act").exists() or shutil.which("node") is None:
        pytest.skip("no act or no node here")
    home, folder, kept = (tmp_path_factory.mktemp(name) for name in ("home", "project", "kept"))
    files = {
        "environments/shop.yaml": f"name: shop\n{SHOP}", "environments/seed.sql": "create table shelf as select 1 as n;",
        "envctl.toml": "", **{f"tests/{name}.py": API for name in ("api", "pages", "shard")},
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (home / "bin").mkdir()
    api = 'GITHUB_API_URL="${STAND_IN_API:-$GITHUB_API_URL}"'  # act sets this variable itself
    for name, words in (("envctl", f"env {api} {sys.executable} -m envctl"), ("python3", sys.executable)):
        (home / "bin" / name).write_text(f'#!/bin/sh\nPYTHONPATH={REPO} exec {words} "$@"\n')
        (home / "bin" / name).chmod(0o755)
    (home / "action").mkdir()  # act copies the Action's whole folder
    shutil.copy(REPO / "action.yml", home / "action")
    shutil.copytree(REPO / "action", home / "action" / "action")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://github.com/o/project"], cwd=folder, check=True)
    return Act(folder, kept, home)
