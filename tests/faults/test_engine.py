"""No Docker, taken ports, a full disk, a state folder that cannot be written: one clear message each."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from envctl.lifecycle.request import Request

from envctl.cli.progress import Silent
from envctl.engines.common import ports
from envctl.engines.docker import DockerEngine, images, networks
from envctl.engines.docker import project as docker_project
from envctl.engines.docker.composer import ComposeFailed
from envctl.errors import ServiceFailed
from envctl.lifecycle.up import up
from envctl.plan.model import PortKey
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
    """A server that is no Docker daemon."""
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
    assert "take another one with --port" in done.err
    nothing_is_left(site)


@pytest.mark.docker
def test_a_port_that_was_taken_after_the_choice(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is chosen, and nobody is told."""
    real = ports.free_ports
    choices: list[Mapping[PortKey, int]] = []
    with held_port() as taken:

        def late(self: DockerEngine, wanted: Mapping[PortKey, int], used: Iterable[int]) -> Mapping[PortKey, int]:
            choices.append(dict.fromkeys(wanted, taken) if not choices else real(wanted, [*used, taken], True))
            return choices[-1]

        monkeypatch.setattr(DockerEngine, "free_ports", late)
        record = up(Request("env", cwd=site.folder), Silent())
        assert list(choices[0].values()) == [taken]
        assert len(choices) == 2
        assert record.state == "up"
        assert record.services["site"]["endpoints"]["http"]["port"] == choices[1]["site", "http"] != taken
    status = site.envctl("status", "env", "--json").ok().json
    assert status["services"]["site"]["state"] == "seeded"


@pytest.mark.docker
def test_a_subnet_that_was_taken_after_the_choice(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = networks.free_subnet
    refusals: list[Sequence[str]] = []

    def first_a_bad_one(self: DockerEngine, id: str, size: int, refused: Iterable[str]) -> str:
        refusals.append(tuple(refused))
        default = next(network for network in self.connection.daemon.get("/networks") if network["Name"] == "bridge")
        return real(self.connection.daemon, id, size, refusals[-1]) if refusals[-1] else str(default["IPAM"]["Config"][0]["Subnet"])

    monkeypatch.setattr(DockerEngine, "free_subnet", first_a_bad_one)
    record = up(Request("env", cwd=site.folder), Silent())
    assert len(refusals) == 2
    assert record.subnet not in refusals[1]


def no_space(*words: Any, **more: Any) -> str:
    raise ComposeFailed(FULL)


@pytest.mark.docker
@pytest.mark.parametrize("when", ["build", "create"])
def test_a_full_disk(project: Project, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """What Docker says of it reaches the user, with what would help (a disk is not filled here)."""
    project.environment("env", "services: {api: {kind: api, build: ./api, port: 8000}}\n" if when == "build" else SITE)
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\n")
    monkeypatch.setattr(images if when == "build" else docker_project, "run_compose", no_space)
    with pytest.raises(ServiceFailed) as raised:
        up(Request("env", cwd=project.folder), Silent())
    from envctl.cli.failure import describe

    text = describe(raised.value)
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
