"""`--local`: one service runs from source as a process on this machine, beside Docker containers."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.processes import nothing_is_left, things_of
from tests.support import Project

pytestmark = pytest.mark.docker

SHOW = """
import http.server, json, os, sys, urllib.request
class Show(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = os.environ.get("OTHER")
        other = json.loads(urllib.request.urlopen(url, timeout=5).read()) if url else None
        body = json.dumps({"word": "one", "where": os.getcwd(), "other": other, "cache": os.environ.get("CACHE")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Show).serve_forever()
"""
PAIR = """
services:
  cache: {kind: valkey, seed: [{command: python3 -c "print(1)", in: inner}]}
  inner:
    kind: api
    build: ./app
    run: python3 show.py ${self.bind} ${self.port}
    port: 8000
    env: {CACHE: "${cache.url}"}
  outer:
    kind: api
    image: python:3.13-slim
    files: {/srv/show.py: app/show.py}
    run: python3 ${self.prefix}/srv/show.py ${self.bind} ${self.port}
    port: 8000
    env: {OTHER: "${inner.url}"}
outputs: {INNER: "${inner.url}", OUTER: "${outer.url}"}
"""


@pytest.fixture
def pair(project: Project) -> Project:
    project.environment("env", PAIR)
    project.write("environments/app/show.py", SHOW)
    project.write("environments/app/Dockerfile", "FROM python:3.13-slim\nWORKDIR /srv\nCOPY show.py .\n")
    return project


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def listening() -> set[str]:
    """Return the local addresses on which processes listen, without those of Docker's own proxy."""
    lines = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[3] for line in lines if "docker-proxy" not in line}


def test_containers_reach_it_and_it_reaches_containers(pair: Project) -> None:
    before = listening()
    outputs = pair.envctl("up", "env", "--local", "inner", "--json").ok().json["outputs"]
    inner = get(outputs["INNER"])
    assert inner["where"] == str(pair.folder / "environments/app"), "it runs in the folder of its source"
    assert "127.0.0.1" in str(inner["cache"])
    outer = get(outputs["OUTER"])
    assert (outer["other"], outer["where"]) == (inner, "/")
    assert not [line for line in things_of(pair) if "inner" in line], "there is no container of it"
    fresh = {address.rpartition(":")[0] for address in listening() - before}
    assert not fresh & {"0.0.0.0", "*", "[::]"}
    pair.envctl("down", "env").ok()
    nothing_is_left(pair)


def test_restart_takes_the_new_source_and_builds_nothing(pair: Project) -> None:
    """The new source listens on all addresses, as most programs do: the relay must not block it, and containers must still reach it."""
    outputs = pair.envctl("up", "env", "--local", "inner", "--json").ok().json["outputs"]
    path = Path(pair.folder, "environments/app/show.py")
    path.write_text(SHOW.replace('"one"', '"two"').replace("sys.argv[1]", '"0.0.0.0"'))
    assert get(outputs["INNER"])["word"] == "one"
    pair.envctl("restart", "env", "inner").ok()
    assert get(outputs["INNER"])["word"] == "two"
    assert get(outputs["OUTER"])["other"]["word"] == "two"  # type: ignore[index]
    assert "GET / " in pair.envctl("logs", "env", "inner").ok().out
    assert pair.envctl("exec", "env", "inner", "--", "sh", "-c", "pwd").ok().out.strip() == str(path.parent)
    assert set(pair.envctl("status", "env", "--json").ok().json["services"]) == {"cache", "inner", "outer"}


def test_it_moves_back_into_a_container(pair: Project) -> None:
    first = pair.envctl("up", "env", "--local", "inner", "--json").ok().json
    second = pair.envctl("up", "env", "--json").ok().json
    assert second["outputs"] == first["outputs"], "addresses stay"
    assert get(second["outputs"]["INNER"])["where"] == "/srv"
    assert get(second["outputs"]["OUTER"])["other"]
    assert [line for line in things_of(pair) if "inner" in line or "container" in line]


def test_a_service_that_is_not_there(pair: Project) -> None:
    done = pair.envctl("up", "env", "--local", "iner")
    assert (done.status, done.out) == (2, "")
    assert "did you mean 'inner'?" in done.err
