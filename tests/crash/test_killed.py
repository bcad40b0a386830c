"""SIGKILL at any moment: whatever it was doing, `gc` leaves nothing of it, and of nothing else."""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import Moments, nothing_is_left, processes_of, started, states_of, things_of, until
from tests_support import Project

pytestmark = [pytest.mark.docker, pytest.mark.slow]

KILLS = 12


def killed(project: Project, words: list[str], after: float) -> str:
    """How far it had got."""
    with started(project, *words) as running:
        try:
            running.process.wait(after)
        except subprocess.TimeoutExpired:
            running.send(signal.SIGKILL)
        running.process.wait()
        return running.err


def collected(project: Project, names: list[str]) -> None:
    until(lambda: not processes_of(str(project.folder)), what="the end of what a killed command had started")
    project.envctl("gc").ok()
    for name in names:  # what had come up before it was to be killed is no leftover
        project.envctl("down", name)
    nothing_is_left(project)


def test_up_killed(pair: Project, moments: Moments) -> None:
    names = [f"kill-{number}" for number in range(KILLS)]
    jobs = [(["up", "env", "--name", name], moment) for name, moment in zip(names, moments("up", KILLS), strict=True)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: killed(pair, *job), jobs))
    finished = [row["name"] for row in pair.envctl("list", "--json").ok().json if row["state"] == "seeded"]
    collected(pair, finished)


def test_run_killed(pair: Project, moments: Moments) -> None:
    """Also while it tears down. An instance with an owner goes with it, however far it was."""
    names = [f"kill-{number}" for number in range(KILLS)]
    jobs = [
        (["run", "env", "--name", name, "--", "sleep", "0.1"], moment) for name, moment in zip(names, moments("run", KILLS), strict=True)
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: killed(pair, *job), jobs))
    collected(pair, [])


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8])
def test_down_killed(pair: Project, moments: Moments, part: float) -> None:
    [moment] = moments("down", 1)
    pair.envctl("up", "env").ok()
    killed(pair, ["down", "env"], max(moment, 0.3) * part)
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_an_instance_that_was_up_outlives_a_killed_up(pair: Project, moments: Moments) -> None:
    """Its data is somebody's: neither `gc` nor the next `up`, nor one that is interrupted, takes it away."""
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    before = set(things_of(pair))
    with started(pair, "up", "env", "--ttl", "1h") as running:
        until(lambda: '"state": "changing"' in (states_of(pair)[0] / "instance.json").read_text() or running.process.poll() is not None)
        running.send(signal.SIGKILL)
        running.process.wait()
    pair.envctl("gc").ok()
    assert before <= set(things_of(pair))
    file = pair.folder / "environments/env.yaml"
    good = file.read_text()
    file.write_text(good.replace("services:", "services:\n  bad: {image: 'nosuch.invalid/x:1'}"))
    assert pair.envctl("up", "env").status == 1
    assert before <= set(things_of(pair))
    file.write_text(good)
    assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
    assert {thing for thing in before if thing.startswith("container")} <= set(things_of(pair))


def test_a_killed_up_is_taken_over_by_the_next(pair: Project, moments: Moments) -> None:
    for moment in moments("up", 3):
        killed(pair, ["up", "env"], moment)
        pair.envctl("up", "env").ok()
        assert pair.envctl("status", "env", "--json").ok().json["state"] == "seeded"
        pair.envctl("down", "env").ok()
    nothing_is_left(pair)
