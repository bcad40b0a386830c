"""Tests of machine faults: no Docker, taken ports, a full disk, an unwritable state folder. Each gives one clear message."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import Wanted
from envctl.engines.docker import deployment, images
from envctl.engines.docker.compose import ComposeFailed
from envctl.engines.docker.engine import DockerEngine
from envctl.errors import ServiceFailed
from envctl.instance.allocation import Allocation
from envctl.instance.record import InstanceState, Record
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.up import up
from envctl.session import Session
from tests.processes import held_port, nothing_is_left
from tests.support import Project

SITE = "services: {site: {kind: stub}}\noutputs: {SITE: '${site.url}'}\n"
FULL = "failed to solve: write /var/lib/docker/x: no space left on device"


@pytest.fixture
def site(project: Project) -> Project:
    project.environment("env", SITE)
    return project


@pytest.mark.parametrize("kind", ["none", "dead", "tcp", "context"])
def test_no_docker(site: Project, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "docker.sock"
    if kind == "dead":
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(str(path))
    with held_port() as port:
        free = port
    host = f"tcp://127.0.0.1:{free}" if kind == "tcp" else f"unix://{path}"
    env = {"DOCKER_CONTEXT": "nosuch"} if kind == "context" else {"DOCKER_HOST": host}
    done = site.envctl("up", "env", env=env)
    assert (done.status, done.out) == (3, "")
    assert ("there is no Docker context 'nosuch'" if kind == "context" else f"Docker does not answer at {host}") in done.err
    assert len(done.err.splitlines()) == 2, "what, and what to do"
    assert "Traceback" not in done.err
    assert site.envctl("run", "env", "--", "true", env=env).status == 125
    assert site.envctl("up", "env", "--json", env=env).json["state"] == "failed"


def test_somebody_else_answers(site: Project) -> None:
    """The server at DOCKER_HOST is not a Docker daemon."""
    import http.server
    import threading

    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = site.envctl("up", "env", env={"DOCKER_HOST": f"tcp://127.0.0.1:{server.server_address[1]}"})
        server.shutdown()
    assert (done.status, done.out) == (3, "")
    assert "Docker does not answer at" in done.err


def test_a_state_folder_that_cannot_be_made(site: Project) -> None:
    done = site.envctl("up", "env", env={"XDG_STATE_HOME": "/dev/null/state"})
    assert done.status != 0
    assert "Traceback" not in done.err
    assert "/dev/null/state" in done.err


@pytest.mark.docker
def test_a_port_that_was_asked_for_and_is_taken(site: Project) -> None:
    with held_port() as port:
        done = site.envctl("up", "env", "--port", f"site={port}")
    assert (done.status, done.out) == (1, "")
    assert "site: its port is taken" in done.err
    assert "choose another one with --port" in done.err
    nothing_is_left(site)


def brought_up(project: Project) -> Record:
    """Start the environment `env` of the project in this process; return its record."""
    return up(Session(dict(os.environ), project.folder), UpOptions("env", engine="docker")).record


@pytest.mark.docker
def test_a_port_that_was_taken_after_the_choice(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """envctl chooses another port without a message."""
    real = DockerEngine.allocate
    choices: list[int] = []
    with held_port() as taken:

        def late(
            self: DockerEngine, id: str, wanted: Wanted, kept: Allocation, others: Collection[int], refused: Collection[str]
        ) -> Allocation:
            found = real(self, id, wanted, kept, [*others, taken], refused)
            found = found if choices else replace(found, ports=dict.fromkeys(found.ports, taken))
            choices.append(found.ports["site", "http"])
            return found

        monkeypatch.setattr(DockerEngine, "allocate", late)
        record = brought_up(site)
    assert (len(choices), choices[0]) == (2, taken)
    assert record.state is InstanceState.UP
    assert record.services["site"].endpoints["http"].port == choices[1] != taken
    status = site.envctl("status", "env", "--json").ok().json
    assert status["services"]["site"]["state"] == "seeded"


@pytest.mark.docker
def test_a_subnet_that_was_taken_after_the_choice(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = DockerEngine.allocate
    refusals: list[Sequence[str]] = []

    def first_a_bad_one(
        self: DockerEngine, id: str, wanted: Wanted, kept: Allocation, others: Collection[int], refused: Collection[str]
    ) -> Allocation:
        refusals.append(tuple(refused))
        found = real(self, id, wanted, kept, others, refused)
        default = next(network for network in self.connection.daemon.get("/networks") if network["Name"] == "bridge")
        return found if refused else replace(found, subnet=str(default["IPAM"]["Config"][0]["Subnet"]))

    monkeypatch.setattr(DockerEngine, "allocate", first_a_bad_one)
    record = brought_up(site)
    assert len(refusals) == 2
    assert record.allocation.subnet not in refusals[1]


def no_space(*words: Any, **more: Any) -> str:
    raise ComposeFailed(FULL)


@pytest.mark.docker
@pytest.mark.parametrize("when", ["build", "create"])
def test_a_full_disk(project: Project, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """The user sees Docker's message and a hint; the full disk is simulated."""
    project.environment("env", "services: {api: {kind: api, build: ./api, port: 8000}}\n" if when == "build" else SITE)
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\n")
    monkeypatch.setattr(images if when == "build" else deployment, "run_compose", no_space)
    with pytest.raises(ServiceFailed) as raised:
        brought_up(project)
    from envctl.cli.printing import describe
    from envctl.session.mask import Mask

    text = "\n".join(describe(raised.value, Mask()))
    assert "no space left on device" in text
    assert "the daemon's disk is full: `docker system df`" in text
    nothing_is_left(project)


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("write /x: no space left on device", "the daemon's disk is full"),
        ("pull access denied for x, repository does not exist", "log in to the registry"),
        ("unauthorized: authentication required", "log in to the registry"),
        ("dial tcp: lookup nosuch.invalid: no such host", "check the name and the network"),
        ("manifest unknown", "check the name and the network"),
    ],
)
def test_what_would_help_a_pull(project: Project, monkeypatch: pytest.MonkeyPatch, why: str, advice: str) -> None:
    class Api:
        def pull(self, *words: Any, **more: Any) -> list[dict[str, str]]:
            return [{"status": "Pulling"}, {"error": why}]

    class Connection:
        api = Api()

    class Service:
        name, image = "db", "postgres:17"

    with pytest.raises(ServiceFailed, match=f"db: the image postgres:17 cannot be pulled: {why}") as raised:
        images.pull(Connection(), Service(), lambda service, text: None)  # type: ignore[arg-type]
    assert raised.value.evidence is not None
    assert advice in raised.value.evidence.advice
