"""Tests of an instance that loses a part while it is up: its keeper, supervisor, a service, the terminal, or all but the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from envctl.instance.identity import instance_id
from tests.processes import (
    controlled,
    keepers_of,
    kill,
    nothing_is_left,
    nothing_stays,
    processes_of,
    started,
    supervisors_of,
    until,
)
from tests.support import Project, command

pytestmark = pytest.mark.slow


SEEDED = {"cache": "seeded", "api": "seeded"}


def id_of(project: Project) -> str:
    return instance_id("env", project.folder)


def services(project: Project) -> dict[str, str]:
    """Return the state of each service, as `status` prints it."""
    return {name: service["state"] for name, service in project.envctl("status", "env", "--json").ok().json["services"].items()}


def docker(*words: str) -> list[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.split()


def kill_containers(project: Project, *label: str) -> None:
    filters = [f"--filter=label={each}" for each in (f"envctl.instance={id_of(project)}", *label)]
    found = subprocess.run(["docker", "ps", "-q", *filters], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["docker", "kill", *found], capture_output=True, check=True)


def kill_service(project: Project, service: str) -> None:
    if project.engine == "docker":
        kill_containers(project, f"envctl.service={service}")
        return
    shown = json.loads((Path(os.environ["XDG_STATE_HOME"], "envctl", id_of(project), "local.json")).read_text())["services"]
    kill(pid for pid, line in processes_of(id_of(project)).items() if line.split()[1:] == list(shown[service]["argv"][1:]))


def test_a_killed_keeper(pair: Project) -> None:
    """On Docker, the next command starts a new keeper; local processes end with their keeper, so the instance is removed."""
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    kill(keepers_of(id_of(pair)))
    listed = pair.envctl("list", "--json").ok()
    if pair.engine == "local":
        assert listed.json == []
        assert "env" in listed.err
        assert "its keeper was killed" in listed.err
    else:
        assert [row["state"] for row in listed.json] == ["seeded"]
        assert len(keepers_of(id_of(pair))) == 1
        assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
        pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_a_halted_keeper(pair: Project) -> None:
    """The services continue to run, and no command reports them as stopped; `down` removes the instance."""
    pair.envctl("up", "env").ok()
    before = processes_of(id_of(pair))
    [keeper] = keepers_of(id_of(pair))
    os.kill(keeper, signal.SIGSTOP)
    done = pair.envctl("up", "env")
    assert done.status == 1
    assert "its state is unknown: the keeper runs, but does not answer" in done.err
    assert processes_of(id_of(pair)) == before
    os.kill(keeper, signal.SIGCONT)
    assert services(pair) == SEEDED
    os.kill(keeper, signal.SIGSTOP)
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_a_killed_supervisor(pair: Project) -> None:
    if pair.engine != "local":
        pytest.skip("it is for local processes")
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    kill(supervisors_of(id_of(pair)))
    until(lambda: set(services(pair).values()) == {"failed"})
    assert len(processes_of(id_of(pair))) == 1, "the keeper alone"
    assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
    assert services(pair) == SEEDED
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_keeper_and_supervisor_killed_at_once(on: Project) -> None:
    """One server hides its mark (PostgreSQL overwrites its environment with its title), and one has forked."""
    if on.engine != "local":
        pytest.skip("they are for local processes")
    on.environment("env", 'services:\n  db: {kind: postgres, version: "17"}\n  s: {run: sh -c "sleep 1000 & sleep 1000"}\n')
    on.envctl("up", "env").ok()
    kill([*keepers_of(id_of(on)), *supervisors_of(id_of(on))])
    on.envctl("list").ok()
    nothing_is_left(on)


def test_a_killed_service(pair: Project) -> None:
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    kill_service(pair, "api")
    until(lambda: services(pair) == {"cache": "seeded", "api": "failed"})
    assert [row["state"] for row in pair.envctl("list", "--json").ok().json] == ["failed"]
    assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
    assert services(pair) == SEEDED
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_network_that_was_removed_by_hand(pair: Project, stopped: bool) -> None:
    if pair.engine != "docker":
        pytest.skip("it is Docker's")
    outputs = pair.envctl("up", "env", "--json").ok().json["outputs"]
    label = f"label=envctl.instance={id_of(pair)}"
    [network] = docker("network", "ls", "-q", "--filter", label)
    for container in docker("ps", "-q", "--filter", label):
        docker(*(("stop", "-t", "0") if stopped else ("network", "disconnect", "-f", network)), container)
    docker("network", "rm", network)
    assert not set(services(pair).values()) & {"ready", "seeded"}
    if not stopped:
        assert "its network was removed; `envctl up` brings it back" in pair.envctl("status", "env").err
    assert pair.envctl("up", "env", "--json").ok().json["outputs"] == outputs
    assert services(pair) == SEEDED


@pytest.mark.parametrize("words", [["up", "env"], ["run", "env", "--", "sh", "-c", "echo begun; sleep 1000"]], ids=["up", "run"])
def test_a_reboot(pair: Project, words: list[str]) -> None:
    """A reboot kills everything except the disk. Docker's data remains; local processes and the instance of a `run` do not."""
    with started(pair, *words) as running:
        if words[0] == "up":
            running.ended().ok()
        else:
            running.says("begun\n")
        kill([running.process.pid, *keepers_of(id_of(pair)), *supervisors_of(id_of(pair)), *processes_of(id_of(pair))])
    if pair.engine == "docker":
        kill_containers(pair)
    listed = pair.envctl("list", "--json").ok()
    if pair.engine == "docker" and words[0] == "up":
        assert [row["state"] for row in listed.json] == ["stopped"]
        pair.envctl("gc").ok()
        pair.envctl("up", "env").ok()
        assert services(pair) == SEEDED
        pair.envctl("down", "env").ok()
    else:
        assert listed.json == []
    nothing_is_left(pair)


def test_its_keeper_leaks_nothing(pair: Project, tmp_path: Path) -> None:
    if pair.engine != "local":
        pytest.skip("nobody asks Docker's keeper for these")
    pair.envctl("up", "env").ok()
    jobs = [words for _ in range(25) for words in (["exec", "env", "api", "--", "true"], ["logs", "env", "cache"])]

    def held() -> int:
        return len(os.listdir(f"/proc/{keepers_of(id_of(pair))[0]}/fd"))

    before = held()
    assert {done.status for done in [command(list(words), pair.folder) for words in jobs]} == {0}
    until(lambda: held() <= before, what="as few descriptors as before")
    pair.envctl("down", "env").ok()


@pytest.mark.parametrize("moment", ["seeding", "is up"])
def test_a_closed_terminal(pair: Project, moment: str) -> None:
    """SIGHUP arrives, and the terminal accepts no more output. An instance that was up by then stays."""
    with controlled(pair, "up", "env") as terminal:
        terminal.says(moment)
        terminal.close()
        status = terminal.process.wait(60)
    stays = moment == "is up" and bool(pair.envctl("list", "--json").json)
    assert stays or status != 0
    if stays:  # the signal may arrive between the last message and the exit
        assert services(pair) == SEEDED
        pair.envctl("down", "env").ok()
    nothing_stays(pair)


def test_a_closed_terminal_ends_run_and_its_command(pair: Project) -> None:
    with controlled(pair, "run", "env", "--", "sh", "-c", "trap '' HUP; echo begun; sleep 1000") as terminal:
        terminal.says("begun")
        terminal.close()
        terminal.process.wait(60)
    nothing_stays(pair)


def test_suspended_and_resumed(pair: Project) -> None:
    """The keeper does not treat a suspended command as dead."""
    with started(pair, "up", "env") as running:
        running.says("seeding")
        running.send(signal.SIGSTOP)
        until(lambda: b") T " in Path(f"/proc/{running.process.pid}/stat").read_bytes())
        assert keepers_of(id_of(pair))
        running.send(signal.SIGCONT)
        running.ended().ok()
    assert services(pair) == SEEDED
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_a_suspended_command_that_is_killed(pair: Project) -> None:
    with started(pair, "up", "env") as running:
        running.says("seeding")
        running.send(signal.SIGSTOP)
        running.send(signal.SIGKILL)
        running.process.wait()
    nothing_stays(pair)
