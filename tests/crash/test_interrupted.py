"""Tests of SIGINT, SIGTERM and SIGHUP at random moments, once or repeated: the exit code is 130, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from envctl.engines.docker.compose import compose_program
from tests.processes import Moments, Running, nothing_is_left, started, states_of, things_of, until
from tests.support import Done, Project

pytestmark = pytest.mark.slow

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ASKED = [*((number,) for number in SIGNALS), (signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM, signal.SIGINT)]
"""The sequences of signals that are sent; in the last two, the user is impatient."""
WIDTH = 2


def interrupted(project: Project, words: Sequence[str], after: float, numbers: Sequence[int]) -> Done:
    """Send *numbers* to a command, the first one *after* seconds after the command handles signals; return the command's result."""
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
    """Return whether the command handles signals or has ended. A starting Python process is killed by a signal like any program."""
    if running.process.poll() is not None:
        return True
    with open(f"/proc/{running.process.pid}/status") as stream:
        caught = next(int(line.split()[1], 16) for line in stream if line.startswith("SigCgt:"))
    return all(caught >> (number - 1) & 1 for number in SIGNALS)


@pytest.mark.parametrize("words", [["up"], ["run", "--", "true"]], ids=["up", "run"])
def test_interrupted(pair: Project, moments: Moments, words: Sequence[str]) -> None:
    """Each command either ends with 130 and leaves nothing, or succeeds because it was done before the signal came."""
    drawn = [0.0, *(0.8 * moment for moment in moments(words[0]))]

    def one(number: int, moment: float, asked: Sequence[int]) -> Done:
        return interrupted(pair, [words[0], "env", "--name", f"stop-{number}", *words[1:]], moment, asked)

    with ThreadPoolExecutor(WIDTH) as pool:
        ended = list(pool.map(one, range(len(drawn)), drawn, cycle(ASKED)))
    for number, (moment, done) in enumerate(zip(drawn, ended, strict=True)):
        assert done.status in (0, 130), (moment, done)
        assert "Traceback" not in done.err, (moment, done)
        assert "Exception ignored" not in done.err, (moment, done)
        if done.status == 0 and words[0] == "up":
            pair.envctl("down", f"stop-{number}").ok()
    assert [done.status for done in ended].count(130) >= len(drawn) // 2
    nothing_is_left(pair)


def test_what_docker_was_asked_for_is_waited_for(pair: Project, tmp_path: Path) -> None:
    """Docker creates networks and containers a second after the interrupt, when Compose has ended; these are removed too."""
    if pair.engine != "docker":
        pytest.skip("it is about Compose")
    slow = tmp_path / "cli-plugins" / "docker-compose"
    slow.parent.mkdir()
    # A copy of the file and a process that survives Compose: like a daemon that has already received the request.
    slow.write_text(f"""#!/bin/sh
cp "$6" {tmp_path}/compose.json
touch {tmp_path}/begun
(sleep 1
{compose_program(os.environ)[0]} -p "$2" --project-directory "$4" -f {tmp_path}/compose.json create >/dev/null 2>&1
touch {tmp_path}/ended) &
wait $!
""")
    slow.chmod(0o755)
    with started(pair, "up", "env", env={"DOCKER_CONFIG": str(tmp_path)}) as running:
        until((tmp_path / "begun").exists)
        running.send(signal.SIGINT)
        done = running.ended()
    assert done.status == 130, done
    until((tmp_path / "ended").exists)
    nothing_is_left(pair)


def test_an_interrupt_leaves_what_was_up(pair: Project, moments: Moments) -> None:
    pair.envctl("up", "env").ok()
    containers = {thing for thing in things_of(pair) if thing.startswith("container")}
    for moment in moments("up")[::3]:
        done = interrupted(pair, ["up", "env", "--ttl", "1h"], moment / 3, [signal.SIGTERM])
        assert done.status in (0, 130), done
    assert containers <= set(things_of(pair))
    pair.envctl("up", "env").ok()
    assert len(states_of(pair)) == 1


def test_an_ignored_signal_stays_ignored(pair: Project) -> None:
    """`nohup` and background jobs of a shell start commands with ignored signals."""
    words = f"run env --engine {pair.engine} -- sh -c 'kill -HUP $PPID; sleep 0.2; exit 3'"
    done = subprocess.run(
        ["sh", "-c", f"trap '' HUP; exec {sys.executable} -m envctl {words}"], cwd=pair.folder, capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    nothing_is_left(pair)
