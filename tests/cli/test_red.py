"""Failing tests and broken environments: the messages, and what remains for inspection."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from envctl.lifecycle.after_red_tests import ERROR
from tests.support import Done, Project, missing

SITE = """
services:
  site: {kind: stub}
  noisy: {run: [sh, -c, "while [ ! -e said ]; do sleep 0.02; done; echo ERROR no; exec sleep 600"]}
tests:
  green: "true"
  red: sh -c 'touch environments/said said; sleep 0.3; exit 3'
  words: [sh, -c, 'echo "$*"', words]
"""
RED = "import pathlib, time; pathlib.Path('environments/said').touch(); time.sleep(0.3); raise SystemExit(3)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    if "local" in missing:
        pytest.skip(f"no local engine here: {missing['local']}")
    project = Project(tmp_path_factory.mktemp("red") / "project", "local")
    project.write("envctl.toml", "")
    project.environment("site", SITE)
    project.environment("other", "services: {site: {kind: stub}}\n")
    yield project
    project.down()


@pytest.fixture
def red(folder: Project, tmp_path: Path) -> Iterator[Project]:
    (folder.folder / "environments/said").unlink(missing_ok=True)
    yield folder
    folder.down()


def ran(project: Project, *words: str, cache: Path, env: Mapping[str, str] | None = None) -> Done:
    return project.envctl(*words, env={"XDG_CACHE_HOME": str(cache), "PATH": os.environ["PATH"], **(env or {})})


def test_a_red_command_and_its_logs(red: Project, tmp_path: Path) -> None:
    done = ran(red, "run", "site", "--", sys.executable, "-c", RED, cache=tmp_path)
    assert done.status == 3
    assert "ended with 3; the environment was fine" in done.err
    assert "errors logged during that time: noisy (1 line)" in done.err
    assert "`envctl logs site` shows" in done.err
    assert "--keep leaves the instance up, --report DIR" in done.err
    assert done.err.rstrip().endswith("site is gone")
    logs = ran(red, "logs", "site", "noisy", "-n", "1", cache=tmp_path).ok()
    assert logs.out == "ERROR no\n"
    assert "site is not up; this is its last run" in logs.err
    assert "did you mean 'noisy'?" in ran(red, "logs", "site", "nois", cache=tmp_path).err
    assert "site is gone" in ran(red, "test", "site", "green", cache=tmp_path).ok().err
    assert ran(red, "logs", "site", cache=tmp_path).status == 2, "the last run was green"


@pytest.mark.parametrize(
    "line",
    ['error: relation "products" does not exist', "TypeError: x is undefined", "Uncaught ReferenceError: y", "2026 ERROR no", "panic: nil"],
)
def test_what_counts_as_an_error_in_a_log(line: str) -> None:
    assert ERROR.search(line)
    assert not ERROR.search("GET /errors: 200, no error: fine")


def test_what_was_up_stays_and_is_said_to(red: Project, tmp_path: Path) -> None:
    first = ran(red, "up", "site", "--json", cache=tmp_path).ok().json
    broken = red.folder / "environments/site.yaml"
    right = broken.read_text()
    try:
        broken.write_text(right.replace("site: {kind: stub}", "site: {kind: stub}\n  bad: {run: 'false'}"))
        assert ran(red, "up", "site", cache=tmp_path).status == 1
    finally:
        broken.write_text(right)
    done = ran(red, "test", "site", "green", cache=tmp_path).ok()
    assert done.err.rstrip().endswith("site stays up, as it was before")
    seen = ran(red, "run", "site", "--", "false", cache=tmp_path)
    assert ("--keep" in seen.err, "--report DIR" in seen.err) == (False, True), "what stays up anyway needs no --keep"
    assert ran(red, "status", "site", "--json", cache=tmp_path).ok().json["outputs"] == first["outputs"]


def test_what_is_handed_out_steers_no_other_command(red: Project, tmp_path: Path) -> None:
    """`eval "$(envctl env site --format shell)"; envctl up other` once changed `site`."""
    ran(red, "up", "site", cache=tmp_path).ok()
    printed = ran(red, "env", "site", cache=tmp_path).ok().out.splitlines()
    exported = dict(line.split("=", 1) for line in printed if line.startswith("ENVCTL_"))
    assert list(exported) == ["ENVCTL_INSTANCE", "ENVCTL_URL", "ENVCTL_TOKEN"]
    assert ran(red, "up", "other", "--json", cache=tmp_path, env=exported).ok().json["name"] == "other"
    refused = ran(red, "up", "other", "--name", "site", cache=tmp_path)
    assert refused.status == 2
    assert "site is an instance of the environment 'site'" in refused.err


def test_commands_are_printed_as_they_work_there(red: Project, tmp_path: Path) -> None:
    above = Project(red.folder.parent, "local")
    done = ran(above, "up", "project/environments/other.yaml", cache=tmp_path).ok()
    down = re.search(r"envctl (down \S+) removes it", done.out)
    assert down
    assert "one is up in" in ran(above, "down", "other", cache=tmp_path).ok().err
    assert "one is up in" in ran(above, "status", "other", cache=tmp_path).err
    assert "other is gone" in ran(above, *down[1].split(), cache=tmp_path).ok().err


def test_a_program_that_is_not_there_is_found_before_anything_starts(red: Project, tmp_path: Path) -> None:
    done = ran(red, "run", "site", "--", "nosuch", "x", cache=tmp_path)
    assert (done.status, done.err) == (127, "envctl: nosuch cannot be run: there is no such program\n")
    red.environment("none", "services: {site: {kind: stub}}\ntests: {one: nosuch --all}\n")
    done = ran(red, "test", "none", cache=tmp_path)
    assert (done.status, done.err) == (127, "envctl: nosuch cannot be run: there is no such program\n")


def test_arguments_are_passed_on_to_one_test(red: Project, tmp_path: Path) -> None:
    assert ran(red, "test", "site", "words", "--", "-k", "a b", "--", cache=tmp_path).ok().out == "-k a b --\n"
    several = ran(red, "test", "site", "--", "-k", cache=tmp_path)
    assert several.status == 125
    assert "name one: green, red, words" in several.err


def test_the_report_says_where_it_is(red: Project, tmp_path: Path) -> None:
    done = ran(red, "run", "other", "--report", str(tmp_path / "r"), "--", "false", cache=tmp_path)
    assert f"the report is in {tmp_path}/r" in done.err
    assert (tmp_path / "r/site.log").exists()


@contextmanager
def killed(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the process after 120 seconds, and terminate it on an error: a failing test must not wait for the process."""
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        yield
    except BaseException:
        process.terminate()
        raise
    finally:
        timer.cancel()


def test_watching_runs_again_on_a_change(red: Project, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    red.environment("watched", "services: {site: {kind: stub}}\ntests: {count: sh -c 'echo run >> count.log'}\n")
    count = red.folder / "environments/count.log"
    environ = {**os.environ, "ENVCTL_ENGINE": "local", "XDG_CACHE_HOME": str(tmp_path)}
    words = [sys.executable, "-m", "envctl", "test", "watched", "--watch"]
    with subprocess.Popen(words, cwd=red.folder, env=environ, stderr=subprocess.PIPE, text=True) as process, killed(process):
        assert process.stderr is not None
        for number in (1, 2):
            assert any("waiting for a change" in line for line in iter(process.stderr.readline, ""))
            assert count.read_text().count("run") == number
            (red.folder / "code.py").write_text(str(number))
            assert "code.py has changed" in next(line for line in iter(process.stderr.readline, "") if "changed" in line)
        process.send_signal(2)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "everything is gone" in rest
