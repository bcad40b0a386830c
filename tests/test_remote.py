"""A daemon elsewhere: nothing is mounted from this machine, and endpoints carry the daemon's host."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import started, states_of
from tests.remote import SOCKET, docker, on_another_machine, on_loopback
from tests.support import Project, missing

pytestmark = [pytest.mark.docker, pytest.mark.slow]

IMAGES = ("python:3.13-slim", "valkey/valkey:8.1")
SERVICES = """
services:
  cache:
    kind: valkey
    with: {password: "s e'c\\"r$e\\\\t"}
    seed:
      - {command: valkey-cli set server "in the server", in: server}
      - {command: python seed.py, in: api}
  api:
    kind: api
    build: ./api
    run: python -u -m http.server 8000
    port: 8000
    files: {/srv/blob.bin: blob.bin, /srv/text.txt: text.txt}
    env: {CACHE: "${cache.host}:${cache.port}"}
outputs: {API: "${api.url}", CACHE: "${cache.url}"}
"""
DATABASE = """
services:
  db:
    kind: postgres
    with: {databases: [app]}
    seed:
      - sql: schema.sql
      - {csv: people.csv, into: people}
outputs: {HOST: "${db.host}"}
"""
ASKING = """
services:
  mine: {kind: api, image: 'python:3.13-slim', port: 80}
  api:
    image: python:3.13-slim
    run: python -uc 'import os, urllib.request as r; print(r.urlopen(os.environ["MINE"], timeout=9).read().decode()); input()'
    ready: {log: "mine"}
    env: {MINE: "${mine.url}"}
    compose: {stdin_open: true}
"""
BLOB = bytes(range(256)) * 10
SEED = """
import os, socket
host, port = os.environ['CACHE'].split(':')
socket.create_connection((host, int(port)), 9).close()
"""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    if "docker" in missing:
        pytest.skip(f"no Docker here: {missing['docker']}")
    with on_another_machine(IMAGES) as found:
        yield found
        left = docker(found, "ps", "-aq").stdout + docker(found, "network", "ls", "-q", "--filter", "label=envctl.instance").stdout
        assert left + docker(found, "volume", "ls", "-q").stdout == ""


@pytest.fixture(params=["DOCKER_HOST", "DOCKER_CONTEXT", "--context"])
def way(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Options and variables that lead to the remote daemon."""
    if request.param == "DOCKER_HOST":
        return [], {"DOCKER_HOST": host}
    config = {"DOCKER_CONFIG": str(tmp_path / "docker-config")}
    words = ["docker", "context", "create", "remote", "--docker", f"host={host}"]
    subprocess.run(words, env={**os.environ, **config}, check=True, capture_output=True)
    return (["--context", "remote"], config) if request.param == "--context" else ([], {**config, "DOCKER_CONTEXT": "remote"})


def written(project: Project) -> Project:
    project.environment("env", SERVICES)
    (project.folder / "environments/blob.bin").write_bytes(BLOB)
    project.write("environments/text.txt", "a text\n")
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\nWORKDIR /srv\nCOPY . .\n")
    project.write("environments/api/index.html", "built there")
    project.write("environments/api/seed.py", SEED)
    return project


def asked(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def test_the_whole_line(project: Project, host: str, way: tuple[list[str], dict[str, str]]) -> None:
    """The record says where it is: later commands need no variable, and find it though another daemon is the usual one."""
    options, env = way
    shown = written(project).envctl("up", "env", "--json", *options, env=env).ok().json
    assert (shown["state"], urlsplit(shown["outputs"]["API"]).hostname) == ("seeded", urlsplit(host).hostname)
    api = shown["outputs"]["API"]
    assert (asked(api), asked(f"{api}/blob.bin"), asked(f"{api}/text.txt")) == (b"built there", BLOB, b"a text\n")

    env = {key: value for key, value in env.items() if key == "DOCKER_CONFIG"}
    assert project.envctl("exec", "env", "cache", "--", "valkey-cli", "get", "server", env=env).ok().out.strip() == "in the server"
    assert project.envctl("exec", "env", "api", "--", "sh", "-c", "exit 5", env=env).status == 5
    assert "GET /text.txt" in project.envctl("logs", "env", "api", env=env).ok().out
    assert project.envctl("status", "env", "--json", env=env).ok().json["state"] == "seeded"
    assert [row["state"] for row in project.envctl("list", "--json", env=env).ok().json] == ["seeded"]
    project.envctl("restart", "env", "api", env=env).ok()
    assert asked(f"{api}/blob.bin") == BLOB
    project.envctl("reset", "env", env=env).ok()

    assert docker(host, "ps", "-q", "--filter", f"label=envctl.instance={shown['id']}").stdout != ""
    assert project.envctl("down", "env", env=env).ok().err == "env is gone\n"
    assert docker(host, "ps", "-aq", "--filter", f"label=envctl.instance={shown['id']}").stdout == ""
    assert states_of(project) == []


def test_one_name_is_on_one_daemon(project: Project, host: str) -> None:
    project.environment("env", "services: {api: {kind: stub}}\n")
    project.envctl("up", "env", env={"DOCKER_HOST": host}).ok()
    done = project.envctl("up", "env")
    assert done.status == 2
    assert f"env is up on docker at {host}" in done.err
    project.envctl("up", "env", "--name", "here").ok()
    project.envctl("down", "--all").ok()
    assert docker(host, "ps", "-aq").stdout == ""


def test_an_interrupt_there(project: Project, host: str) -> None:
    import signal

    with started(written(project), "up", "env", env={"DOCKER_HOST": host}) as running:
        running.says("starting")
        running.send(signal.SIGINT)
        assert running.ended().status == 130
    assert docker(host, "ps", "-aq").stdout == ""
    assert states_of(project) == []


def test_a_server_of_the_tests_is_reached_from_there(project: Project, host: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"mine")

        def log_message(self, *words: object) -> None: ...

    project.environment("env", ASKING)
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        use = f"mine=http://127.0.0.1:{server.server_address[1]}"
        project.envctl("run", "env", "--use", use, "--timeout", "30s", "--", "true", env={"DOCKER_HOST": host}).ok()
        server.shutdown()


def test_on_loopback_tcp(project: Project) -> None:
    """Its ports are this machine's; a seed goes through the connection, and its end is heard at the other side."""
    project.environment("env", DATABASE)
    project.write("environments/schema.sql", "create table people (id int, name text);\n")
    project.write("environments/people.csv", "id,name\n1,Zoë\n2,\n")
    with on_loopback() as host:
        env = {"DOCKER_HOST": host}
        shown = project.envctl("up", "env", "--json", env=env).ok().json
        assert (shown["state"], shown["outputs"]["HOST"]) == ("seeded", "127.0.0.1")
        asking = [
            "exec",
            "env",
            "db",
            "--",
            "sh",
            "-c",
            "PGPASSWORD=$POSTGRES_PASSWORD psql -U $POSTGRES_USER -d app -Atc 'select count(*) from people'",
        ]
        assert project.envctl(*asking, env=env).ok().out.strip() == "2"
        assert project.envctl("logs", "env", "db", env=env).ok().out != ""
        project.envctl("up", "env", "--name", "other", "--only", "db", env={"DOCKER_HOST": f"unix://{SOCKET}"}).ok()
        project.envctl("down", "env").ok()
        project.envctl("up", "env", env=env).ok()
    gone = project.envctl("down", "--all")
    assert gone.status == 1
    assert f"env: left behind: Docker does not answer at {host}" in gone.err
    assert "other is gone" in gone.err
    with on_loopback(urlsplit(host).port or 0):
        project.envctl("down", "--all").ok()
    assert states_of(project) == []
