"""A `service` is any program; `ready` says when it is ready, and services that need it start after that."""

from __future__ import annotations

import json
import socket
import urllib.request

import pytest

from tests.kinds.listening import listens_here_alone
from tests.kinds.support import Running, bring_up
from tests.support import Project

LATE = "import os, socket, threading, time, http.server as h; time.sleep(0.4)"
"""The start of each program: it sleeps, so that a client that does not wait for the check comes too early."""


def program(*lines: str) -> str:
    return json.dumps(["python3", "-u", "-c", "\n".join([LATE, *lines])]).replace("${", "$${")


LISTEN = 's = socket.create_server((os.environ["BIND"], int(os.environ["PORT"]))); '
ANSWER = "[c.sendall(b'hello') or c.close() for c, _ in iter(s.accept, None)]"
DATED = """
class Answers(h.BaseHTTPRequestHandler):
    began = time.monotonic()
    def do_GET(self):
        self.send_response(204 if time.monotonic() - self.began > 0.3 else 503)
        self.end_headers()
h.HTTPServer((os.environ["BIND"], int(os.environ["PORT"])), Answers).serve_forever()
"""
TALKING = ["by-tcp", "by-port", "by-log", "by-command", "by-words"]
ASK = """
import socket, sys, urllib.request
for address in sys.argv[2:]:
    host, _, port = address.rpartition(":")
    print(socket.create_connection((host, int(port)), 5).recv(5).decode())
print(urllib.request.urlopen(sys.argv[1]).status)
"""
ASKS = json.dumps(
    ["python3", "-c", ASK, "http://${by-http.host}:${by-http.ports.web}", *(f"${{{name}.host}}:${{{name}.port}}" for name in TALKING)]
)
AT = 'env: {BIND: "${self.bind}", PORT: "${self.port}", PREFIX: "${self.prefix or \'/tmp\'}"}'

SERVICES = f"""
x-python: &python {{image: "python:3.13-slim", stop: 0s}}
services:
  by-tcp: {{<<: *python, run: {program(LISTEN + ANSWER)}, port: 7000, {AT}}}
  by-port: {{<<: *python, run: {program(LISTEN + ANSWER)}, ports: {{talk: 7000, idle: 7001}}, ready: {{tcp: true, port: talk}}, {AT}}}
  by-log: {{<<: *python, run: {program(LISTEN + "print('listening: 7000')", ANSWER)}, port: 7000, ready: {{log: "^listening: .+"}}, {AT}}}
  by-command:
    <<: *python
    run: {program(LISTEN + "open(os.environ['PREFIX'] + '/rea dy', 'w').close()", ANSWER)}
    port: 7000
    {AT}
    ready: {{command: [test, -e, "${{self.prefix or '/tmp'}}/rea dy"]}}
  by-words:
    <<: *python
    run: {program(LISTEN + "open(os.environ['PREFIX'] + '/ready', 'w').close()", ANSWER)}
    port: 7000
    {AT}
    ready: {{command: "test -e ${{self.prefix or '/tmp'}}/ready"}}
  by-http:
    <<: *python
    run: {program(DATED)}
    ports: {{idle: 7001, web: 8000}}
    env: {{BIND: "${{self.bind}}", PORT: "${{self.ports.web}}"}}
    ready: {{http: "/any?thing=1", status: [204], port: web, timeout: 20s}}
  all-of-them:
    <<: *python
    run: {program("print('on')", DATED)}
    port: 8000
    {AT}
    ready: {{http: /, log: "on", command: "true", tcp: true}}
  portless: {{<<: *python, run: {program("time.sleep(600)")}}}
  asks: {{kind: job, <<: *python, run: {ASKS}}}
"""
OUTPUTS = {name.upper().replace("-", "_"): f"${{{name}.host}}:${{{name}.port}}" for name in TALKING} | {
    "BY_HTTP": "http://${by-http.host}:${by-http.ports.web}",
    "ALL": "${all-of-them.url}",
}


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    return bring_up(home, "programs", SERVICES, OUTPUTS)


@pytest.mark.parametrize("service", TALKING)
def test_it_answers_once_it_is_ready(up: Running, service: str) -> None:
    host, _, port = up[service.upper().replace("-", "_")].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        assert connection.recv(5) == b"hello"


@pytest.mark.parametrize("output", ["BY_HTTP", "ALL"])
def test_it_answers_http_once_it_is_ready(up: Running, output: str) -> None:
    with urllib.request.urlopen(up[output], timeout=10) as answer:
        assert answer.status == 204


def test_who_refers_to_it_finds_it_ready(up: Running) -> None:
    assert up.project.envctl("logs", up.name, "asks").ok().out == "hello\n" * len(TALKING) + "204\n"


def test_one_without_a_port_runs(up: Running) -> None:
    assert up.shown["services"]["portless"]["state"] == "seeded"
    assert up.shown["services"]["portless"]["endpoints"] == {}
    assert up.defaults_of("portless") == {}


def test_several_ports_are_published(up: Running) -> None:
    assert up.shown["services"]["by-http"]["endpoints"].keys() == {"idle", "web"}
    assert up.defaults_of("by-tcp").keys() == {"host", "port", "url"}


def test_processes_listen_on_loopback_alone(up: Running) -> None:
    listens_here_alone(up)


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        ("{log: never said, timeout: 0.5s}", "no log line matches 'never said' yet"),
        ("{command: [sh, -c, 'echo not yet; exit 7'], timeout: 0.5s}", "sh ended with 7: not yet"),
        ("{tcp: true, port: 7001, timeout: 3s}", "it listens on 7000, not on 7001"),
    ],
)
def test_one_that_does_not_get_ready_says_what_it_did(home: Project, ready: str, words: str) -> None:
    run = "'python3 -m http.server --bind ${self.bind} ${self.port}'"
    home.environment(
        "late", f"services:\n  one: {{image: 'python:3.13-slim', run: {run}, ports: {{a: 7000, b: 7001}}, ready: {ready}, stop: 0s}}\n"
    )
    done = home.envctl("up", "late")
    assert done.status == 1
    assert "one did not get ready within " in done.err
    assert words_of(home, words) in done.err


def words_of(home: Project, words: str) -> str:
    """Return the expected message on this engine: the kubelet runs the command on a cluster, and local processes have other ports."""
    if home.engine == "local" and words.startswith("it listens"):
        return "it listens on "
    return "the kubelet's probe has not succeeded yet" if home.engine == "kubernetes" and words.startswith("sh ended") else words


def test_one_that_ends_says_so_at_once(home: Project) -> None:
    home.environment("ends", "services:\n  one: {image: 'python:3.13-slim', run: [sh, -c, 'echo its last words; exit 9'], port: 7000}\n")
    done = home.envctl("up", "ends")
    assert done.status == 1
    assert "one ended with 9" in done.err
    assert "its last words" in done.err


def test_a_job_that_fails_fails_the_environment(home: Project) -> None:
    home.environment("fails", "services:\n  one: {kind: job, image: 'python:3.13-slim', run: [sh, -c, 'echo no table; exit 4']}\n")
    done = home.envctl("up", "fails")
    assert done.status == 1
    assert "one ended with 4" in done.err
    assert "no table" in done.err
