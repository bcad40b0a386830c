"""`status`, `env`, `logs`, `exec`, `shell`, `list`, and `doctor`: they print to stdout and change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import dotenv
import pytest

from envctl.instance.identity import instance_id
from tests.processes import started, until
from tests.support import NOTHING_KEPT, Done, Project

pytestmark = pytest.mark.docker

TOKEN = "to%ken-of\ntwo lines"
ODD = "a 'b' \"c\" $d"


def outputs(up: Project) -> dict[str, str]:
    return dict(up.envctl("env", "env", "--format", "json").ok().json)


def test_status_for_people(up: Project) -> None:
    shown = up.envctl("status", "env").ok()
    head, titles, *rows = shown.out.splitlines()
    assert head.startswith(f"env ({instance_id('env', up.folder)}) on docker: seeded")
    assert titles.split() == ["SERVICE", "KIND", "STATE", "READY", "ENDPOINTS"]
    assert {tuple(row.split()[:3]) for row in rows} == {("db", "postgres", "seeded"), ("site", "stub", "seeded"), ("api", "api", "seeded")}
    assert shown.err == ""
    assert "\x1b[" not in shown.out
    assert up.envctl("status").ok().out == shown.out


def test_status_as_json(up: Project) -> None:
    one = up.envctl("status", "env", "--json").ok().json
    assert set(one) == {*("name", "id", "environment", "engine", "state", "expires", "services", "outputs", "lanes", "timings_ms")}
    assert one["services"]["db"].keys() == {"kind", "state", "ready_ms", "endpoints"}
    assert up.envctl("status", "--json").ok().json == [one]


def test_status_by_id_from_anywhere(up: Project, tmp_path: Path) -> None:
    elsewhere = Project(tmp_path)
    assert elsewhere.envctl("status", "env").status == 2
    assert elsewhere.envctl("status", instance_id("env", up.folder), "--json").ok().json["name"] == "env"


def test_env_as_dotenv(up: Project, tmp_path: Path) -> None:
    shown = up.envctl("env", "env").ok()
    assert shown.err == ""
    assert shown.out == up.envctl("env", "env", "--format", "dotenv").ok().out
    path = tmp_path / ".env"
    path.write_text(shown.out)
    assert dotenv.dotenv_values(path, interpolate=False) == outputs(up)


def test_env_for_a_shell(up: Project) -> None:
    shown = up.envctl("env", "env", "--format", "shell").ok()
    script = f'{shown.out}\n{sys.executable} -c "import os, json; print(json.dumps(dict(os.environ)))"'
    ran = subprocess.run(["sh", "-ec", f"set -a\n{script}"], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert {key: found.get(key) for key in outputs(up)} == outputs(up)


def test_env_as_json(up: Project) -> None:
    found = outputs(up)
    assert (found["TOKEN"], found["ODD"]) == (TOKEN, ODD)
    assert found["ENVCTL_INSTANCE"] == instance_id("env", up.folder)


def test_env_for_github_prints_masks_beside(up: Project) -> None:
    shown = up.envctl("env", "env", "--format", "github").ok()
    assert "::add-mask::" not in shown.out
    assert github(shown.out) == outputs(up)
    password = outputs(up)["DATABASE_URL"].partition("://")[2].partition("@")[0].partition(":")[2]
    masks = shown.err.splitlines()
    assert all(line.startswith("::add-mask::") for line in masks)
    assert {f"::add-mask::{password}", "::add-mask::to%25ken-of", "::add-mask::two lines"} <= set(masks)


def github(text: str) -> dict[str, str]:
    """Parse *text* as the runner parses `$GITHUB_ENV`."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        key, heredoc, mark = line.partition("<<")
        if heredoc and "=" not in key:
            found[key] = "\n".join(iter(lambda mark=mark: next(lines), mark))  # type: ignore[misc]
        else:
            key, _, found_value = line.partition("=")
            found[key] = found_value
    return found


def test_env_as_properties(up: Project) -> None:
    shown = up.envctl("env", "env", "--format", "properties").ok().out
    lines = dict(line.split("=", 1) for line in shown.splitlines())
    assert lines["TOKEN"].replace("\\n", "\n") == TOKEN
    assert lines.keys() == outputs(up).keys()


def test_env_in_an_unknown_format(up: Project) -> None:
    done = up.envctl("env", "env", "--format", "jsn")
    assert (done.status, done.out) == (2, "")
    assert "did you mean 'json'?" in done.err


def test_env_for_a_service_is_what_it_would_get_here(up: Project) -> None:
    found = json.loads(up.envctl("env", "env", "--for", "api", "--format", "json").ok().out)
    assert (found["TOKEN"], found["ODD"]) == (TOKEN, ODD)
    with urllib.request.urlopen(found["SITE"], timeout=10) as answer:
        assert answer.read() == b"hello"
    assert found["DATABASE"] in outputs(up)["DATABASE_URL"]
    wrong = up.envctl("env", "env", "--for", "ap")
    assert wrong.status == 2
    assert "did you mean 'api'?" in wrong.err


def test_logs(up: Project) -> None:
    one = up.envctl("logs", "env", "api").ok()
    assert one.out.splitlines()[0] == "listening"
    everything = up.envctl("logs", "env").ok().out
    assert "api | listening\n" in everything
    assert "db | " in everything
    assert len(up.envctl("logs", "env", "db", "-n", "2").ok().out.splitlines()) <= 2
    wrong = up.envctl("logs", "env", "nosuch")
    assert wrong.status == 2
    assert "env has no service 'nosuch'" in wrong.err


def test_logs_are_followed(up: Project) -> None:
    """Lines arrive while `logs -f` runs; an interrupt ends it with exit code 130."""
    import signal

    address = up.envctl("status", "env", "--json").ok().json["services"]["api"]["endpoints"]["http"]
    with started(up, "logs", "env", "api", "site", "-f") as following:
        following.says("api | listening")
        with urllib.request.urlopen(f"http://{address['host']}:{address['port']}/followed", timeout=10) as answer:
            assert answer.read() == b"hello"
        following.says("api | asked for /followed")
        following.send(signal.SIGINT)
        assert following.ended().status == 130


@pytest.mark.parametrize(
    ("script", "status"),
    [("true", 0), ("exit 3", 3), ("exit 125", 125), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_code_of_exec_is_the_commands(up: Project, script: str, status: int) -> None:
    done = up.envctl("exec", "env", "api", "--", "sh", "-c", f"echo out; echo err >&2; {script}")
    assert (done.status, done.out, done.err) == (status, "out\n", "err\n")


def test_exec_hands_words_and_input_over(up: Project) -> None:
    words = ["a b", "$HOME", "'", "--help", "-n", ""]
    done = up.envctl("exec", "env", "api", "--", "python", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words).ok()
    assert done.json == words
    assert piped(up, "one\ntwo\n", "exec", "env", "api", "--", "wc", "-l").ok().out.strip() == "2"


def test_what_cannot_be_executed(up: Project) -> None:
    assert up.envctl("exec", "env", "api").status == 125
    assert up.envctl("exec", "env", "nosuch", "--", "true").status == 125
    missing = up.envctl("exec", "env", "api", "--", "/no/such/program")
    assert missing.status in (126, 127)
    assert "Traceback" not in missing.err


def test_the_shell_reads_what_is_piped(up: Project) -> None:
    assert "Zoë" in piped(up, "select name from people;\n", "shell", "env", "db").ok().out
    assert piped(up, "echo $((6 * 7))\n", "shell", "env", "api").ok().out == "42\n"
    failed = piped(up, "exit 7\n", "shell", "env", "api")
    assert failed.status == 7


def piped(up: Project, text: str, *words: str) -> Done:
    environ = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or not key.startswith("ENVCTL_")}
    argv = [sys.executable, "-m", "envctl", *words]
    done = subprocess.run(argv, cwd=up.folder, env=environ, input=text, capture_output=True, text=True, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


def test_list(up: Project, tmp_path: Path) -> None:
    rows = up.envctl("list", "--json").ok().json
    assert [row["name"] for row in rows] == ["env"]
    assert rows[0].keys() == {"name", "id", "environment", "engine", "state", "created", "expires", "project"}
    assert (rows[0]["state"], rows[0]["project"]) == ("seeded", str(up.folder))
    titles, row = up.envctl("list").ok().out.splitlines()
    assert titles.split() == ["NAME", "ENVIRONMENT", "ENGINE", "STATE", "CREATED", "EXPIRES", "ID"]
    assert row.split()[:4] == ["env", "env", "docker", "seeded"]
    elsewhere = Project(tmp_path)
    assert elsewhere.envctl("list").ok().out == "nothing is up in this checkout\n"
    everybody: list[Mapping[str, str]] = elsewhere.envctl("list", "--all", "--json").ok().json
    assert rows[0] in everybody
    assert rows[0]["id"] in elsewhere.envctl("list", "--all").ok().out


def test_list_names_what_another_state_folder_knows(up: Project, tmp_path: Path) -> None:
    """Instances of another state folder are found by their labels."""
    rows = up.envctl("list", "--all", "--json", env={"XDG_STATE_HOME": str(tmp_path)}).ok().json
    [row] = [row for row in rows if row["project"] == str(up.folder)]
    known = up.envctl("list", "--json").ok().json[0]
    assert {key: row[key] for key in row if key != "created"} == {key: known[key] for key in row if key != "created"}


def test_doctor(up: Project) -> None:
    shown = up.envctl("doctor").ok()
    assert "works here: docker" in shown.out
    assert "\x1b[" not in shown.out
    found = up.envctl("doctor", "--json").ok().json
    assert {"area", "ok", "text", "advice"} <= found[0].keys()
    absent = up.envctl("doctor", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert absent.status in (0, 3)
    assert "unix:///nowhere.sock" in absent.out


def test_a_closed_pipe_is_no_failure(up: Project) -> None:
    until(lambda: up.envctl("logs", "env", "db").out)
    script = f"{sys.executable} -m envctl logs env db | head -n 1"
    done = subprocess.run(["sh", "-c", script], cwd=up.folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
