"""SIGINT, SIGTERM, SIGHUP at any moment, once or twice: 130, and nothing is left without `gc`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import Moments, Running, nothing_is_left, started, states_of, things_of, until
from tests_support import Done, Project

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TIMES = 4


def interrupted(project: Project, words: Sequence[str], after: float, numbers: Sequence[int]) -> Done:
    """How it ended when *numbers* were sent, one after the other, the first so many seconds after it could be asked to stop."""
    with started(project, *words) as running:
        until(lambda: handles_signals(running))
        try:
            running.process.wait(after)
        except subprocess.TimeoutExpired:
            for number in numbers:
                running.send(number)
                time.sleep(0.02)
        return running.ended()


def handles_signals(running: Running) -> bool:
    """Before that it is Python that starts, and dies of a signal as every program does."""
    if running.process.poll() is not None:
        return True
    with open(f"/proc/{running.process.pid}/status") as stream:
        caught = next(int(line.split()[1], 16) for line in stream if line.startswith("SigCgt:"))
    return all(caught >> (number - 1) & 1 for number in SIGNALS)


def interrupted_at(project: Project, words: Sequence[str], moments: Sequence[float], numbers: Sequence[int]) -> None:
    """All of them end with 130 and nothing, or had done what they should before the signal came."""
    names = [f"stop-{number}" for number in range(len(moments))]
    jobs = [([words[0], "env", "--name", name, *words[1:]], moment) for name, moment in zip(names, moments, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda job: interrupted(project, job[0], job[1], numbers), jobs))
    for name, moment, done in zip(names, moments, ended, strict=True):
        assert done.status in (0, 130), (moment, done)
        assert "Traceback" not in done.err, (moment, done)
        assert "Exception ignored" not in done.err, (moment, done)
        if done.status == 0 and words[0] == "up":
            project.envctl("down", name).ok()
    assert [done.status for done in ended].count(130) >= len(moments) // 2
    nothing_is_left(project)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_up_interrupted(pair: Project, moments: Moments, number: int) -> None:
    interrupted_at(pair, ["up"], [*[0.8 * moment for moment in moments("up", TIMES + number)][-TIMES:], 0.0], [number])


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_run_interrupted(pair: Project, moments: Moments, number: int) -> None:
    interrupted_at(pair, ["run", "--", "true"], [0.8 * moment for moment in moments("run", TIMES)], [number])


@pytest.mark.parametrize("numbers", [(signal.SIGINT,) * 2, (signal.SIGINT, signal.SIGTERM, signal.SIGINT)], ids=["twice", "thrice"])
def test_an_impatient_user(pair: Project, moments: Moments, numbers: Sequence[int]) -> None:
    interrupted_at(pair, ["up"], [0.8 * moment for moment in moments("up", 6)], numbers)


def test_an_interrupt_leaves_what_was_up(pair: Project, moments: Moments) -> None:
    pair.envctl("up", "env").ok()
    containers = {thing for thing in things_of(pair) if thing.startswith("container")}
    for moment in moments("up", 3):
        done = interrupted(pair, ["up", "env", "--ttl", "1h"], moment / 3, [signal.SIGTERM])
        assert done.status in (0, 130), done
    assert containers <= set(things_of(pair))
    pair.envctl("up", "env").ok()
    assert len(states_of(pair)) == 1


def test_an_ignored_signal_stays_ignored(pair: Project) -> None:
    """`nohup envctl up`, and a shell that starts it in the background."""
    script = f"trap '' HUP; exec {sys.executable} -m envctl run env -- sh -c 'kill -HUP $PPID; sleep 0.2; exit 3'"
    done = subprocess.run(["sh", "-c", script], cwd=pair.folder, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    nothing_is_left(pair)
