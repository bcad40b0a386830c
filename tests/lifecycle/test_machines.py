"""Two CI jobs at once, each on a machine of its own, as on hosted runners: the same hostname, folder, user and daemon.

A machine here is a namespace for processes and the hostname, with its own HOME and state; when it is killed, all its processes end at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import until
from tests.support import Project, labelled

pytestmark = pytest.mark.docker
ENTER = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]


@dataclass(frozen=True)
class Machine:
    """One runner and its job."""

    home: Path
    project: Project
    run_id: str

    def start(self, *words: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "GITHUB_"))}
        environ = {
            **kept, "HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state"), "ENVCTL_ENGINE": "docker", "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": self.run_id, "GITHUB_JOB": "test", "GITHUB_WORKSPACE": str(self.project.folder),
        }  # fmt: skip
        script = 'hostname runner; exec "$@"'
        return subprocess.Popen(
            [*ENTER, "sh", "-c", script, "sh", *words], env=environ, cwd=self.project.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def envctl(self, script: str) -> str:
        """Run a shell script in which `envctl` is this checkout; check that it succeeds, and return its output."""
        done = self.start("sh", "-ec", f'envctl() {{ "{sys.executable}" -m envctl "$@"; }}\n{script}')
        out, _ = done.communicate(timeout=300)
        assert done.returncode == 0, out
        return out


@pytest.fixture
def machine(tmp_path: Path, project: Project) -> Iterator[Callable[[str], Machine]]:
    if shutil.which("unshare") is None or subprocess.run([*ENTER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    project.environment("env", "services: {bus: {kind: nats}}\n")

    def make(run_id: str) -> Machine:
        home = tmp_path / f"home-{run_id}"
        home.mkdir()
        return Machine(home, project, run_id)

    yield make
    for id in _ids(project):
        project.envctl("down", id)


def _ids(project: Project) -> set[str]:
    return {words[2] for words in (line.split(" ", 3) for line in labelled()) if words[3].startswith(f"{project.folder.parent}/")}


def test_jobs_at_once_never_touch_each_other(machine: Callable[[str], Machine], project: Project) -> None:
    first, second, third = machine("1"), machine("2"), machine("3")
    hold = f'"{sys.executable}" -m envctl run env -- sh -c "touch held; until test -e release; do sleep 0.1; done"'
    job = first.start("sh", "-c", hold)
    killed = third.start("sh", "-c", hold.replace("held", "held-too"))
    try:
        until(lambda: (project.folder / "held").exists() and (project.folder / "held-too").exists(), 120)
        both = _ids(project)
        assert len(both) == 2
        killed.kill()  # no process is left on that machine to remove its instance
        killed.communicate(timeout=60)
        said = second.envctl("envctl up env; envctl gc; envctl list; envctl down env; envctl down env; envctl gc")
        assert "env is gone" in said
        assert _ids(project) == both
        (project.folder / "release").touch()
        assert job.wait(120) == 0, job.communicate()[0]
        (left,) = _ids(project) & both
        assert "is gone" in second.envctl(f"envctl down {left}")  # the id works on any machine
        assert not _ids(project)
    finally:
        for process in (job, killed):
            process.kill()
            process.communicate()
