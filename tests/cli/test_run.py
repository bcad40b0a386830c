"""`run` and `test`: their exit codes, what an interrupted command leaves, and the report of a failure."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.processes import nothing_is_left, started, states_of, things_of
from tests.support import Project

pytestmark = pytest.mark.docker

SITE = """
variables: {word: {secret: true, default: very-secret-word}}
services:
  site: {kind: stub, env: {WORD: "${var.word}"}}
  other: {kind: stub}
outputs: {SITE: "${site.url}", ODD: "a 'b' \\"c\\" $d"}
"""
REPORTER = "import os, sys; open('results/a.xml', 'w').write(os.environ['SITE']); sys.exit(int(sys.argv[1]))"
ASK = "import os, urllib.request as r; print(r.urlopen(os.environ['SITE'] + '/__admin/health').status, os.environ['ODD'])"


@pytest.fixture
def site(project: Project) -> Project:
    project.environment("env", SITE)
    return project


def test_the_outputs_are_in_its_environment(site: Project) -> None:
    done = site.envctl("run", "env", "--", sys.executable, "-c", ASK).ok()
    assert done.out == "200 a 'b' \"c\" $d\n"
    nothing_is_left(site)


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("exit 125", 125), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)], ids=str)
def test_the_exit_code_is_the_commands(site: Project, script: str, status: int) -> None:
    done = site.envctl("run", "env", "--only", "other", "--", "sh", "-c", f"echo mine; {script}")
    assert (done.status, done.out) == (status, "mine\n")
    nothing_is_left(site)


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("/no/such/program", 127, "there is no such program"),
        ("no-such-program", 127, "there is no such program"),
        ("./plain", 126, "no permission"),
    ],
)
def test_a_program_that_is_not_there(project: Project, program: str, status: int, words: str) -> None:
    """The program is checked first: here, not even the environment exists."""
    (project.folder / "plain").touch(0o644)
    done = project.envctl("run", "env", "--", program)
    assert (done.status, done.out, done.err) == (status, "", f"envctl: {program} cannot be run: {words}\n")


def test_a_failure_of_ours_is_125(project: Project) -> None:
    project.environment("wrong", "services: {site: {kind: stubb}}\n")
    project.environment("dead", "services: {bad: {image: 'python:3.13-slim', run: python -c 'exit(3)', port: 80}}\n")
    for words in (["run", "wrong", "--", "true"], ["run", "dead", "--", "true"], ["run", "nosuch", "--", "true"]):
        done = project.envctl(*words)
        assert (done.status, done.out) == (125, ""), done
        assert "Traceback" not in done.err
    assert project.envctl("run", "wrong", "--", "true", env={"DOCKER_HOST": "unix:///nowhere.sock"}).status == 125
    nothing_is_left(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupt_ends_the_command_and_everything(site: Project, number: signal.Signals) -> None:
    script = "import time; print('begun', flush=True); time.sleep(600)"
    with started(site, "run", "env", "--only", "other", "--", sys.executable, "-c", script) as running:
        running.says("begun")
        running.send(number)
        done = running.ended()
    assert done.status == 130
    assert "everything is gone" in done.err
    nothing_is_left(site)


def test_a_command_that_does_not_want_to_end(site: Project) -> None:
    """envctl interrupts the command, terminates it and then kills it; further interrupts have no effect."""
    script = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print('begun', flush=True); time.sleep(600)"
    with started(site, "run", "env", "--only", "other", "--", sys.executable, "-c", script) as running:
        running.says("begun")
        for _ in range(3):
            running.send(signal.SIGINT)
            time.sleep(0.05)
        assert running.ended().status == 130
    nothing_is_left(site)


def test_a_report_of_what_failed(site: Project) -> None:
    done = site.envctl("run", "env", "--report", "made/report", "--", "sh", "-c", "exit 5")
    assert done.status == 5
    folder = site.folder / "made/report"
    assert {path.name for path in folder.iterdir()} == {"status.json", "site.log", "other.log"}
    status = json.loads((folder / "status.json").read_text())
    assert (status["name"], status["state"]) == ("env", "seeded")
    assert set(status["services"]) == {"site", "other"}
    assert "very-secret-word" not in "".join(path.read_text() for path in folder.iterdir())
    site.envctl("run", "env", "--report", "made/none", "--", "true").ok()
    assert not (site.folder / "made/none").exists()


def test_what_was_up_stays_up(site: Project) -> None:
    outputs = site.envctl("up", "env", "--json").ok().json["outputs"]
    before = set(things_of(site))
    assert site.envctl("run", "env", "--", "sh", "-c", "exit 1").status == 1
    assert set(things_of(site)) == before
    shown = site.envctl("status", "env", "--json").ok().json
    assert (shown["state"], shown["outputs"]) == ("seeded", outputs)


def test_keep_leaves_a_failed_run(site: Project) -> None:
    assert site.envctl("run", "env", "--only", "other", "--keep", "--", "sh", "-c", "exit 9").status == 9
    assert states_of(site) != []
    assert site.envctl("status", "env", "--json").ok().json["state"] == "seeded"
    site.envctl("down", "env").ok()
    nothing_is_left(site)
    site.envctl("run", "env", "--only", "other", "--keep", "--", "true").ok()
    nothing_is_left(site)


@pytest.fixture
def tested(project: Project) -> Project:
    """Return a project whose tests write reports.

    `good` passes, `bad` ends with 4, and `lone` needs one service only.
    """
    project.write("environments/results/.keep", "")

    def entry(status: int, more: str = "") -> str:
        run = json.dumps(f"{sys.executable} -c {shlex.quote(REPORTER)} {status}")
        return f'{{run: {run}, reports: ["results/*.xml"]{more}}}'

    tests = f"tests:\n  good: {entry(0)}\n  bad: {entry(4)}\n  lone: {entry(0, ', only: [site]')}\n  words: echo ${{site.url}} 'a b'\n"
    project.environment("env", SITE + tests)
    return project


def test_one_test(tested: Project) -> None:
    done = tested.envctl("test", "env", "lone").ok()
    assert "site" in done.err
    assert "other" not in done.err, "it says which service it needs"
    assert (tested.folder / "environments/results/a.xml").read_text().startswith("http://")
    nothing_is_left(tested)


def test_all_tests_and_their_reports(tested: Project) -> None:
    done = tested.envctl("test", "env", "--report", str(tested.folder / "report"))
    assert done.status == 4
    report = tested.folder / "report"
    assert (report / "status.json").exists()
    assert {path.parent.name for path in Path(report, "tests").glob("*/a.xml")} >= {"bad"}
    nothing_is_left(tested)


def test_a_test_is_no_shell(tested: Project) -> None:
    out = tested.envctl("test", "env", "words").ok().out
    assert out.startswith("http://")
    assert out.endswith(" a b\n")


def test_a_test_that_is_not_there(tested: Project) -> None:
    done = tested.envctl("test", "env", "god")
    assert done.status == 125
    assert "did you mean 'good'?" in done.err


def test_a_report_of_an_environment_that_failed(project: Project) -> None:
    project.environment("env", "services: {bad: {image: 'python:3.13-slim', run: 'sh -c \"echo oh no; exit 4\"', port: 80}}\n")
    done = project.envctl("run", "env", "--report", "made", "--", "true")
    assert done.status == 125
    assert "oh no" in (project.folder / "made/bad.log").read_text()
    assert json.loads((project.folder / "made/status.json").read_text())["services"]["bad"]["state"] == "failed"
    nothing_is_left(project)
