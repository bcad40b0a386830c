"""Tests of SIGKILL at random moments: what the command had begun is removed automatically; an instance that was up stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from envctl.instance.folder import state_home
from envctl.instance.identity import instance_id
from envctl.instance.store import RecordStore
from tests.processes import (
    Moments,
    Running,
    keepers_of,
    kill,
    nothing_is_left,
    nothing_stays,
    started,
    states_of,
    things_of,
    until,
)
from tests.support import Done, Project

pytestmark = pytest.mark.slow

WIDTH = 3
Victims = Callable[[Running, str], Sequence[int]]


def id_of(project: Project, name: str = "env") -> str:
    return instance_id(name, project.folder)


def the_command(running: Running, id: str) -> Sequence[int]:
    return [running.process.pid]


def the_keeper(running: Running, id: str) -> Sequence[int]:
    return keepers_of(id)


def both(running: Running, id: str) -> Sequence[int]:
    return [running.process.pid, *keepers_of(id)]


def killed(project: Project, words: Sequence[str], after: float, victims: Victims, id: str) -> Done:
    """Run a command and kill its *victims* when *after* seconds have passed; return the command's result."""
    with started(project, *words) as running:
        try:
            running.process.wait(after)
        except subprocess.TimeoutExpired:
            kill(victims(running, id))
        return running.ended()


def killed_each(project: Project, words: Sequence[str], moments: Sequence[float], victims: Victims) -> dict[str, Done]:
    """Run and kill one command for each moment, some at a time; return the results by instance name."""
    names = [f"kill-{number}" for number in range(len(moments))]

    def one(name: str, moment: float) -> Done:
        return killed(project, [words[0], "env", "--name", name, *words[1:]], moment, victims, id_of(project, name))

    with ThreadPoolExecutor(WIDTH) as pool:
        return dict(zip(names, pool.map(one, names, moments), strict=True))


def left_up(project: Project, names: Sequence[str]) -> list[str]:
    """Wait until all unfinished instances are removed; return those of *names* that were up before their command was killed."""

    store = RecordStore(state_home(os.environ))

    def state(name: str) -> str:
        record = store.load(id_of(project, name))
        return record.state if record is not None else ""

    until(lambda: {state(name) for name in names} <= {"", "up"}, 45.0, "the end of what had not come up")
    return [name for name in names if state(name)]


def test_up_killed(pair: Project, moments: Moments) -> None:
    ended = killed_each(pair, ["up"], moments("up"), the_command)
    if left_up(pair, list(ended)):
        pair.envctl("down", "--all").ok()
    nothing_stays(pair)


SUDDEN = """
import os, signal, sys
from importlib import import_module
from envctl.cli import main

def sudden(*arguments, **named):
    if when == "after":
        real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

module, name, when = sys.argv[1].split()
holder = import_module(module)
real = getattr(holder, name)
setattr(holder, name, sudden)
main(["up", "env", "--name", sys.argv[2]])
"""
"""A script that runs `up` and kills it where a random moment rarely comes: around the lock, the record and the keeper's start."""
MOMENTS = (
    "envctl.lifecycle.up claim before", "envctl.lifecycle.up begin_keeper before", "envctl.keeper_client.starting _spawn before",
    "envctl.keeper_client.starting _spawn after", "envctl.keeper_client.starting _published after",
)  # fmt: skip


def test_up_killed_before_a_keeper_watches(pair: Project) -> None:
    env = {**os.environ, "ENVCTL_ENGINE": pair.engine}
    scripts = [[sys.executable, "-c", SUDDEN, where, f"kill-{number}"] for number, where in enumerate(MOMENTS)]
    processes = [subprocess.Popen(script, cwd=pair.folder, env=env) for script in scripts]
    assert {process.wait() for process in processes} == {-signal.SIGKILL}
    nothing_stays(pair)


def test_run_killed(pair: Project, moments: Moments) -> None:
    """An instance with an owner is removed when the owner ends, in every state, also during removal."""
    killed_each(pair, ["run", "--", "sleep", "0.1"], moments("run"), the_command)
    nothing_stays(pair)


def test_the_keeper_killed_while_it_comes_up(pair: Project, moments: Moments) -> None:
    """`up` fails, or succeeds on an engine that works without a keeper; the next command then starts a new keeper."""
    ended = killed_each(pair, ["up"], moments("up"), the_keeper)
    assert {done.status for done in ended.values()} <= {0, 1}
    assert not any("Traceback" in done.err or "fault" in done.err for done in ended.values()), ended
    shown = pair.envctl("list", "--json").ok()
    there = [row["name"] for row in shown.json]
    if pair.engine != "local":
        assert there == [name for name, done in ended.items() if done.status == 0], shown
    assert all(len(keepers_of(id_of(pair, name))) == 1 for name in there)
    assert {row["state"] for row in shown.json} <= {"seeded"}
    pair.envctl("down", "--all").ok()
    nothing_is_left(pair)


def test_command_and_keeper_killed_at_once(pair: Project, moments: Moments) -> None:
    """Without a keeper, the next command of any kind removes what is left."""
    for words in (["up"], ["run", "--", "sleep", "0.1"]):
        ended = killed_each(pair, words, moments(words[0])[::2], both)
        pair.envctl("list").ok()
        for name in left_up(pair, list(ended)):  # a local instance lost its processes and is removed, unless `up` was faster
            assert pair.engine != "local" or ended[name].status == 0, name
        pair.envctl("down", "--all").ok()
        nothing_is_left(pair)


@pytest.mark.parametrize("place", ["host", "api", "server"])
def test_up_killed_while_it_seeds(pair: Project, place: str) -> None:
    file = pair.folder / "environments/env.yaml"
    file.write_text(file.read_text().replace("{command: sleep 0.1}", f"{{command: sleep 1000, in: {place}}}"))
    with started(pair, "up", "env") as running:
        running.says("seeding")
        kill([running.process.pid])
    nothing_stays(pair)


def test_what_run_has_started_ends_with_it(pair: Project) -> None:
    """This includes children in their own session, and children with another environment."""
    with started(pair, "run", "env", "--", "sh", "-c", "echo begun; setsid sleep 1000 & env -i sleep 1000; true") as running:
        running.says("begun")
        kill([running.process.pid])
    nothing_stays(pair)


def test_run_notices_that_its_keeper_is_gone(pair: Project) -> None:
    with started(pair, "run", "env", "--", "sh", "-c", "echo begun; exec sleep 1000") as running:
        running.says("begun")
        kill(keepers_of(id_of(pair)))
        done = running.ended()
    assert done.status == 125
    assert "the keeper of the instance has ended" in done.err
    nothing_is_left(pair)


HALF_WAY = """
import os, signal
from envctl.lifecycle import down
from envctl.cli import main

down._removed = lambda *words: os.kill(os.getpid(), signal.SIGKILL)
main(["down", "env"])
"""


def test_what_a_killed_down_has_left_is_collected_by_the_next_command(pair: Project) -> None:
    """The keeper still runs, and no other process knows that the instance was to be removed."""
    pair.envctl("up", "env").ok()
    env = {**os.environ, "ENVCTL_ENGINE": pair.engine}
    assert subprocess.run([sys.executable, "-c", HALF_WAY], cwd=pair.folder, env=env, check=False).returncode == -signal.SIGKILL
    assert "was removed: its command was killed" in pair.envctl("list").ok().err
    nothing_is_left(pair)


@pytest.mark.parametrize("moment", [0.15, 0.3])
def test_down_killed(pair: Project, moment: float) -> None:
    pair.envctl("up", "env").ok()
    killed(pair, ["down", "env"], moment, the_command, id_of(pair))
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_an_instance_that_was_up_outlives_a_killed_up(pair: Project) -> None:
    """Neither `gc` nor a later `up`, failed or interrupted, removes the instance and its data."""
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    before = set(things_of(pair))
    with started(pair, "up", "env", "--ttl", "1h") as running:
        until(lambda: '"state": "changing"' in (states_of(pair)[0] / "instance.json").read_text() or running.process.poll() is not None)
        running.send(signal.SIGKILL)
        running.process.wait()
    pair.envctl("gc").ok()
    assert before <= set(things_of(pair))
    assert pair.envctl("status", "env", "--json").ok().json["services"]["cache"]["state"] == "seeded"
    file = pair.folder / "environments/env.yaml"
    good = file.read_text()
    file.write_text(good.replace("services:", "services:\n  bad: {image: 'nosuch.invalid/x:1', run: nosuch}"))
    assert pair.envctl("up", "env").status == 1
    assert before <= set(things_of(pair))
    file.write_text(good)
    assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
    assert {thing for thing in before if thing.startswith("container")} <= set(things_of(pair))


def test_a_killed_up_is_taken_over_by_the_next(pair: Project, moments: Moments) -> None:
    """The next `up` starts at once, while the keeper of the killed one still removes the instance."""
    for moment in moments("up")[3:7:3]:
        killed(pair, ["up", "env"], moment, the_command, id_of(pair))
        pair.envctl("up", "env").ok()
        assert pair.envctl("status", "env", "--json").ok().json["state"] == "seeded"
        assert len(keepers_of(id_of(pair))) == 1
        pair.envctl("down", "env").ok()
    nothing_is_left(pair)
