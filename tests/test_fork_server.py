"""Commands that are forked, beside such that are started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fork_server import Ended, ForkServer, can_fork
from tests.processes import running

BROKEN = "name: x\nservices: {x: {kind: nosuch}}\n"


@pytest.fixture(scope="module")
def forking() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


def environ(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("ENVCTL_", "PYTEST_"))} | more


@pytest.mark.parametrize("words", [["--version"], ["validate", "x.yaml"], ["nosuch"], ["up", "--help"], ["env", "x.yaml"]])
def test_a_fork_is_like_a_process(forking: ForkServer, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "x.yaml").write_text(BROKEN)
    started = subprocess.run([sys.executable, "-m", "envctl", *words], cwd=tmp_path, env=environ(), capture_output=True, check=False)
    assert forking.run(words, tmp_path, environ(), 60.0) == Ended(started.returncode, started.stdout, started.stderr)


def test_each_has_its_own_folder_and_variables(forking: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text('name: x\nvariables: {v: {from: "OF_MINE"}}\nservices: {x: {image: "a:${var.v}"}}\n')
    for value in ("1", "2"):
        ended = forking.run(["render", "x.yaml", "--engine", "docker"], tmp_path, environ(OF_MINE=value), 60.0)
        assert f"image: a:{value}".encode() in ended.out
    assert forking.run(["render", "x.yaml", "--engine", "docker"], tmp_path, environ(), 60.0).status == 2


def test_one_that_takes_too_long_is_killed(forking: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nservices: {x: {run: sleep 600}}\n")
    mine = environ(XDG_STATE_HOME=str(tmp_path / "state"))
    (tmp_path / "x.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getppid()))\ntime.sleep(600)\n")
    words = ["run", "x.yaml", "--engine", "local", "--", sys.executable, "x.py"]
    with pytest.raises(subprocess.TimeoutExpired):
        forking.run(words, tmp_path, mine, 10.0)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(pid)


def test_what_python_reads_as_it_starts_needs_a_process() -> None:
    assert can_fork(dict(os.environ))
    assert not can_fork({**os.environ, "PYTHONWARNINGS": "error"})
    assert not can_fork({key: value for key, value in os.environ.items() if key != "LANG"} | {"LC_ALL": "tr_TR.UTF-8"})
