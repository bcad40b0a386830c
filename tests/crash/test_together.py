"""Tests of concurrent commands on one instance: they wait for each other, and the last one decides the state."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.processes import nothing_is_left, started, states_of, things_of, until
from tests.support import Project

pytestmark = pytest.mark.slow


def test_two_at_once(pair: Project) -> None:
    """One command waits for the other; both succeed with the same outputs."""
    with started(pair, "up", "env", "--json") as first, started(pair, "up", "env", "--json") as second:
        shown = [running.ended().ok().json for running in (first, second)]
    assert shown[0]["outputs"] == shown[1]["outputs"]
    assert len([thing for thing in things_of(pair) if thing.startswith("container")]) == (2 if pair.engine == "docker" else 0)
    assert len(states_of(pair)) == 1


def test_four_instances_of_one_environment_at_once(pair: Project) -> None:
    with ExitStack() as stack:
        running = [stack.enter_context(started(pair, "run", "env", "--name", f"n{n}", "--", "sh", "-c", "echo $API")) for n in range(4)]
        ended = [each.ended().ok() for each in running]
    assert len({done.out for done in ended}) == 4
    nothing_is_left(pair)


def test_down_while_it_comes_up(pair: Project) -> None:
    with started(pair, "up", "env") as coming:
        coming.says("starting")
        done = pair.envctl("down", "env").ok()
        coming.ended().ok()
    assert "env is gone" in done.err
    nothing_is_left(pair)


def test_gc_while_it_comes_up(pair: Project) -> None:
    with started(pair, "up", "env") as coming:
        until(lambda: states_of(pair) or coming.process.poll() is not None)
        while coming.process.poll() is None:
            pair.envctl("gc").ok()
        coming.ended().ok()
    assert pair.envctl("status", "env", "--json").ok().json["state"] == "seeded"


def test_a_second_run_is_refused(pair: Project) -> None:
    with started(pair, "run", "env", "--", "sh", "-c", "echo begun; until [ -e over ]; do sleep 0.1; done") as first:
        first.says("begun")
        second = pair.envctl("run", "env", "--", "true")
        pair.write("over", "")
        assert second.status == 125
        assert "is using env" in second.err
        first.ended().ok()
    nothing_is_left(pair)
