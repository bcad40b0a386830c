"""The command line on the local engine; no test here needs Docker."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.processes import nothing_is_left, nothing_stays, running, started, states_of, until
from tests.support import NOTHING_KEPT, Project, command

PAIR = """
ttl: 1h
services:
  site: {kind: stub, with: {routes: routes.json}}
  worker:
    run: 'echo "I ask $SITE" | sed s/http:..//; exec sleep 600'
    shell: true
    env: {SITE: "${site.url}", TOKEN: "it's $HOME"}
outputs: {SITE: "${site.url}"}
"""
ROUTES = '{"request": {"url": "/"}, "response": {"body": "the stub"}}'


@pytest.fixture
def local(project: Project) -> Iterator[Project]:
    project.environment("env", PAIR)
    project.write("environments/routes.json", ROUTES)
    found = Project(project.folder, "local")
    yield found
    found.down()


def expires(project: Project) -> str:
    return str(project.envctl("status", "env", "--json").ok().json["expires"])


# Bringing up, inspecting and removing


def test_up_look_and_down(local: Project) -> None:
    done = local.envctl("up", "env", "--json").ok()
    with urllib.request.urlopen(done.json["outputs"]["SITE"], timeout=10) as answer:
        assert answer.read() == b"the stub"
    assert (done.json["engine"], done.json["state"]) == ("local", "seeded")
    address = done.json["outputs"]["SITE"].removeprefix("http://")
    assert local.envctl("logs", "env", "worker").ok().out == f"I ask {address}\n"
    assert local.envctl("exec", "env", "worker", "--", "sh", "-c", 'echo "$TOKEN"; exit 3').status == 3
    assert local.envctl("exec", "env", "worker", "--", "sh", "-c", 'echo "$TOKEN"').ok().out == "it's $HOME\n"
    assert local.envctl("down", "env").ok().err == "env is gone\n"
    nothing_is_left(local)


def test_logs_are_followed_until_the_service_ends(local: Project) -> None:
    local.envctl("up", "env").ok()
    with started(local, "logs", "env", "worker", "-f") as following:
        following.says("I ask")
        local.envctl("down", "env").ok()
        assert following.ended().status == 0


def test_a_shell_only_where_it_is_asked_for(local: Project) -> None:
    """Without `shell: true`, arguments are passed on unchanged."""
    local.environment("env", "services:\n  one: {kind: job, run: \"python3 -c 'import sys; print(sys.argv[1:])' $HOME '*' ;\"}\n")
    local.envctl("up", "env").ok()
    assert local.envctl("logs", "env", "one").ok().out == "['$HOME', '*', ';']\n"
    local.environment("env", 'services:\n  one: {kind: job, shell: true, run: "echo a | tr a b; echo $WORD", env: {WORD: c}}\n')
    local.envctl("up", "env", "--fresh").ok()
    assert local.envctl("logs", "env", "one").ok().out == "b\nc\n"


# A second `up` uses the same engine


def test_up_again_without_an_engine(local: Project) -> None:
    first = local.envctl("up", "env", "--json").ok().json
    second = command(["up", "env", "--json"], local.folder).ok().json
    assert (second["engine"], second["id"], second["outputs"]) == ("local", first["id"], first["outputs"])
    third = command(["up", "other", "--name", "env", "--json"], local.folder)
    assert third.status == 2, "there is no such environment, whatever is up"


def test_up_again_on_another_engine_is_refused(local: Project) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    if (done := command(["up", "env", "--only", "site", "--engine", "docker"], local.folder)).status == 3:
        pytest.skip("no Docker here")
    assert done.status == 2
    assert "env is up on local" in done.err
    assert "`envctl down env` first, or use another --name" in done.err
    local.envctl("status", "env").ok()


# Extending the lifetime


def test_extend(local: Project) -> None:
    local.envctl("up", "env", "--ttl", "1h").ok()
    before = expires(local)
    done = local.envctl("extend", "env", "3h")
    assert (done.status, done.out) == (0, "")
    assert re.fullmatch(r"env expires in (3 h|180 min|179 min)\n", done.err), done.err
    more = datetime.fromisoformat(expires(local)) - datetime.fromisoformat(before)
    assert 7100 < more.total_seconds() < 7500
    assert local.envctl("list", "--json").ok().json[0]["expires"] == expires(local)


def test_extend_can_shorten_and_then_it_goes(local: Project) -> None:
    local.envctl("up", "env").ok()
    local.envctl("extend", "env", "1s").ok()
    nothing_stays(local)


@pytest.mark.parametrize("time", ["0", "0s", "0h0m"])
def test_extend_by_nothing_is_a_mistake(local: Project, time: str) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    done = local.envctl("extend", "env", time)
    assert (done.status, done.out) == (2, "")
    assert f"{time} is not a lifetime" in done.err
    assert "`envctl down env` removes it now" in done.err
    local.envctl("status", "env").ok()


def test_what_had_no_end_gets_one(local: Project) -> None:
    local.environment("env", PAIR.replace("ttl: 1h\n", ""))
    local.envctl("up", "env").ok()
    assert expires(local) == "None"
    local.envctl("extend", "env", "1d").ok()
    assert expires(local) != "None"


def test_extend_what_is_not_up(local: Project) -> None:
    done = local.envctl("extend", "env", "1h")
    assert (done.status, done.out) == (2, "")
    assert "nothing named 'env' is up in this checkout" in done.err


def test_extend_with_a_name_that_is_nearly_right(local: Project) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    done = local.envctl("extend", "evn", "1h")
    assert (done.status, done.out) == (2, "")
    assert "did you mean 'env'?" in done.err


@pytest.mark.parametrize("words", [["soon"], ["-1h"], ["1y"], []])
def test_extend_by_what_is_no_duration(local: Project, words: list[str]) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    before = expires(local)
    done = local.envctl("extend", "env", *words)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert expires(local) == before
    if words == ["soon"]:
        assert "lifetime soon: 'soon' is not a duration; write it like 30s, 15m, 2h or 1h30m" in done.err


# A killed keeper


def test_the_next_command_collects_what_lost_its_keeper(local: Project) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    [folder] = states_of(local)
    pid = int(re.findall(r'"pid": (\d+)', (folder / "keeper.json").read_text())[0])
    os.kill(pid, 9)
    until(lambda: not running(pid))
    done = local.envctl("list", "--json").ok()
    assert done.json == []
    assert f"env ({folder.name}) was removed: its keeper was killed, and its processes with it" in done.err
    nothing_is_left(local)


# Output that cannot be written


@pytest.mark.parametrize(
    "redirections", [">&-", "2>&-", ">/dev/full", "2>/dev/full", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2> >(true)"]
)
def test_an_output_that_fails_changes_no_result(local: Project, redirections: str) -> None:
    envctl = f"{shlex.quote(sys.executable)} -m envctl"
    line = f"{envctl} run env --engine local --only site --report . -- sh -c 'exit 7' {redirections}"
    environ = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or not key.startswith("ENVCTL_")}
    assert subprocess.run(["bash", "-c", line], cwd=local.folder, env=environ, check=False).returncode == 7
    nothing_is_left(local)


def test_what_was_up_stays_up_though_nobody_could_be_told(local: Project) -> None:
    local.envctl("up", "env", "--only", "site").ok()
    environ = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or not key.startswith("ENVCTL_")}
    for words in (["up", "env", "--only", "site"], ["status", "env"], ["env", "env"]):
        with open("/dev/full", "w") as full:
            line = [sys.executable, "-m", "envctl", *words]
            done = subprocess.run(line, cwd=local.folder, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "envctl: stdout cannot be written: No space left on device")
    assert local.envctl("status", "env", "--json").ok().json["services"]["site"]["state"] in ("ready", "seeded")


def test_a_report_that_cannot_be_written_is_said_and_changes_no_result(local: Project) -> None:
    done = local.envctl("run", "env", "--only", "site", "--report", "/dev/null", "--", "sh", "-c", "exit 7")
    assert done.status == 7
    assert "envctl: the report in /dev/null cannot be written: File exists" in done.err.splitlines()


# Memory

LOUD = """
import sys, time
for _ in range(200):
    sys.stdout.write("a line of some thirty characters\\n" * 32768)
print("ready", flush=True)
time.sleep(600)
"""
MEASURED = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=-3, check=True); "
MEASURED += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def peak(project: Project, *words: str) -> int:
    """Return the peak memory of an envctl command, in MiB."""
    line = [sys.executable, "-c", MEASURED, sys.executable, "-m", "envctl", *words]
    done = subprocess.run(
        line, cwd=project.folder, env={**os.environ, "ENVCTL_ENGINE": "local"}, capture_output=True, text=True, check=True
    )
    return int(done.stdout) // (1024 if sys.platform == "linux" else 1 << 20)


def test_two_hundred_megabytes_of_output_cost_no_memory(local: Project) -> None:
    local.write("environments/loud.py", LOUD)
    local.environment("loud", "services: {loud: {run: python3 loud.py, ready: {log: ^ready$}}}")
    assert peak(local, "up", "loud") < 80
    assert peak(local, "logs", "loud") < 80
    assert local.envctl("logs", "loud", "-n", "1").ok().out == "ready\n"


SEEDED = """
services:
  a: {run: sleep 600, seed: [{command: "sh -c 'sleep 600 & echo $! > pid.new; mv pid.new pid; wait'"}]}
  b: {run: sleep 600, seed: [{command: "sh -c 'until test -e pid; do sleep 0.05; done; test -e go'"}]}
"""


def seed_of(project: Project) -> int:
    return int(until(lambda: (path := project.folder / "environments/pid").exists() and path.read_text()))


def test_a_seed_on_this_machine_ends_with_the_up_that_fails(local: Project) -> None:
    local.environment("seeded", SEEDED)
    assert local.envctl("up", "seeded", "--keep").status == 1
    assert not running(seed_of(local))


def test_a_seed_on_this_machine_ends_with_the_up_that_is_killed(local: Project) -> None:
    local.environment("seeded", SEEDED.replace("until test -e pid", "until test -e never"))
    with started(local, "up", "seeded") as up:
        pid = seed_of(local)
        up.process.kill()
        up.ended()
    until(lambda: not running(pid))
    until(lambda: not states_of(local))
