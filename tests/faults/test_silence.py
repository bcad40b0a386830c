"""Tests of a daemon or cluster that accepts connections and never answers: `--timeout` limits `up`, other commands soon fail."""

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
from tests.lifecycle.listed import saved
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
    """Yield a listening socket without a program that accepts: clients connect and get no answer. Write two kubeconfigs for it."""
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
    done = command(["up", "env", "--timeout", "1s"], tmp_path, environ(engine, silent, tmp_path), timeout=30)
    assert (done.status, done.err.strip()) == (124, f"envctl: out of time after 1 s: {engine} did not answer")


@pytest.mark.parametrize("engine", ["docker", "kubernetes"])
def test_nobody_waits_for_ever(tmp_path: Path, silent: socket.socket, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SILENCE", 0.05)
    host = Session(environ(engine, silent, tmp_path), tmp_path).host
    with pytest.raises(EngineMissing, match=r"did not answer for 0\.05 s"):
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


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["gc"]])
def test_what_nobody_could_look_at_is_said_with_an_exit_code(tmp_path: Path, words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    done = command(words, tmp_path, {"DOCKER_HOST": closed, "XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    assert done.status == 1
    assert "envctl cannot tell which instances are up there" in done.err


def test_status_and_down_go_on_with_the_others(tmp_path: Path) -> None:
    """The first instance's daemon cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "envctl.toml").touch()
    session = Session({"XDG_STATE_HOME": str(tmp_path)}, tmp_path)
    for name, engine, context in (("a", "docker", closed), ("b", "local", None)):
        saved(session, name=name, id=f"{name}-123456", engine=engine, context=context, project=str(tmp_path))
    environ = {"XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = command(["status"], tmp_path, environ)
    assert done.status == 1
    assert "envctl: a: " in done.err
    assert "a (a-123456) on docker: unknown" in done.out
    assert "b (b-123456) on local: " in done.out
    done = command(["down", "--all"], tmp_path, environ)
    assert (done.status, "a: left behind: " in done.err, "b is gone" in done.err) == (1, True, True)
