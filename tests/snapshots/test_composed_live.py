"""Test a Compose file's database on Docker that starts from a snapshot of its initialised data."""

from __future__ import annotations

import os
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pg8000.native
import pytest

from tests.support import REQUIRED, Project, command, missing

FILE = """
services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw, POSTGRES_DB: shop}
    secrets: [pw]
    volumes: ["db-data:/var/lib/postgresql/data"]
    ports: ["5432"]
volumes: {db-data: {}}
secrets: {pw: {file: ./pw.txt}}
"""


def rows(url: str, query: str) -> list[list[object]]:
    at = urlsplit(url)
    with pg8000.native.Connection("postgres", host="127.0.0.1", port=at.port, password=at.password, database="shop", timeout=30) as found:
        return list(found.run(query) or [])


REFUSED = b'HTTP/1.1 500 Refused\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"message": "no such layer"}'


@pytest.fixture(params=["image", "copy"])
def daemon(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Yield the variables for Docker itself, or for a relay that refuses to load an image without its layers.

    Docker's containerd image store refuses this.
    """
    if "docker" in missing and "docker" not in REQUIRED:
        pytest.skip(f"no Docker here: {missing['docker']}")
    if request.param == "image":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="envctl-") as folder, Relays(f"{folder}/s", Relay) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield {"DOCKER_HOST": f"unix://{folder}/s"}
        server.shutdown()


class Relays(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Relay(socketserver.BaseRequestHandler):
    """A connection that is relayed to this machine's Docker daemon."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
            answers = threading.Thread(target=pass_on, args=(daemon, self.request), daemon=True)
            answers.start()
            pass_on(self.request, daemon)
            answers.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(1 << 16):
            if b"/images/load" in some.partition(b"\r\n")[0]:
                source.sendall(REFUSED)
                break
            target.sendall(some)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_a_server_of_a_compose_file_begins_as_it_was_initialised_with_the_same_file(tmp_path: Path, daemon: dict[str, str]) -> None:
    project = Project(tmp_path / "envctl-tests", "docker")
    env = {"ENVCTL_NO_SNAPSHOTS": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), "ENVCTL_ENGINE": "docker", **daemon}
    project.write("envctl.toml", "")
    project.write("compose.yaml", FILE)

    def run(*words: str) -> str:
        return command(list(words), project.folder, env).ok().out

    def up(password: str) -> str:
        """Build a snapshot with *password*, start the server from it, and return its URL."""
        project.write("pw.txt", f"{password}\n")
        assert run("snapshots", "build", "compose.yaml").startswith("kept envctl-tests/db")
        url = again()
        assert urlsplit(url).password == password
        return url

    def again() -> str:
        url: str = command(["up", "compose.yaml", "--name", "kc", "--json"], project.folder, env).ok().json["outputs"]["DB_URL"]
        assert "init process complete" not in run("logs", "kc", "db")
        return url

    def mounts() -> str:
        return run("exec", "kc", "db", "--", "cat", "/proc/mounts")

    try:
        first = up("sesame")
        assert rows(first, "show data_directory") == [["/var/lib/postgresql/data"]]
        assert (" /var/lib/postgresql/data " in mounts()) == bool(daemon), "there is a volume where it is a copy"
        rows(first, "create table t (i int)")
        run("reset", "kc", "db")
        assert rows(first, "select to_regclass('t')") == [[None]]
        assert "init process complete" not in run("logs", "kc", "db")
        rows(first, "create table kept (i int)")
        for label in "xy":
            project.write("compose.yaml", FILE.replace("    ports:", f"    labels: [{label}]\n    ports:"))
            first = again()  # the changed label creates a new container
            assert rows(first, "select to_regclass('kept')::text") == [["kept"]]
            assert " /var/lib/postgresql/data " in mounts()
        run("reset", "kc", "db")
        assert rows(first, "select to_regclass('kept')") == [[None]]
        run("down", "kc")
        project.write("compose.yaml", FILE)
        second = up("mustard")
        assert rows(second, "select 1") == [[1]]
        with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
            rows(second.replace("mustard", "sesame"), "select 1")
    finally:
        run("down", "--all")
        run("snapshots", "--prune")
