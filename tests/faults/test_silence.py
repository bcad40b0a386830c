"""A daemon or a cluster that accepts and says nothing: `--timeout` covers it, and every other command gives up soon and says so."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.engines import open_engine, registry
from envctl.engines.kubernetes import api
from envctl.errors import EngineMissing
from envctl.instance.record import Location
from envctl.session import Session
from tests.support import command

WEB = "name: env\nservices: {web: {image: busybox}}\n"
KUBECONFIG = """
current-context: kind-silent
contexts: [{name: kind-silent, context: {cluster: lab, user: me}}]
clusters: [{name: lab, cluster: {server: "%s://127.0.0.1:%d"}}]
users: [{name: me, user: {token: x}}]
"""


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[socket.socket]:
    """It listens, and the system accepts for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for scheme in ("http", "https"):
            (tmp_path / scheme).write_text(KUBECONFIG % (scheme, listener.getsockname()[1]))
        yield listener


def environ(engine: str, listener: socket.socket, folder: Path, scheme: str = "http") -> dict[str, str]:
    where = {"DOCKER_HOST": f"tcp://127.0.0.1:{listener.getsockname()[1]}", "KUBECONFIG": str(folder / scheme)}
    return {**os.environ, **where, "ENVCTL_ENGINE": engine}


@pytest.mark.parametrize("engine", ["docker", "kubernetes"])
def test_up_ends_at_its_timeout(tmp_path: Path, silent: socket.socket, engine: str) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/env.yaml").write_text(WEB)
    done = command(["up", "env", "--timeout", "1s"], tmp_path, environ(engine, silent, tmp_path), timeout=9)
    assert (done.status, done.err.strip()) == (124, f"envctl: out of time after 1 s: {engine} has not answered")


@pytest.mark.parametrize("engine", ["docker", "kubernetes"])
def test_nobody_waits_for_ever(tmp_path: Path, silent: socket.socket, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SILENCE", 0.05)
    host = Session(environ(engine, silent, tmp_path), tmp_path).host
    with pytest.raises(EngineMissing, match=r"has said nothing for 0\.05 s"):
        open_engine(Location(engine, "kind-silent" if engine == "kubernetes" else None), host)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_cluster_is_asked_once(tmp_path: Path, silent: socket.socket, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ANSWER", 0.05)
    monkeypatch.setattr(api, "CONNECT", 0.05)
    host = Session(environ("kubernetes", silent, tmp_path, scheme), tmp_path).host
    with pytest.raises(EngineMissing, match="does not answer"):
        open_engine(Location("kubernetes", "kind-silent"), host)
    silent.setblocking(False)
    silent.accept()[0].close()
    with pytest.raises(BlockingIOError):
        silent.accept()
