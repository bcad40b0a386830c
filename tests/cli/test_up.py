"""`up`, and the options that it shares with `run` and `test`: what it prints and what it starts."""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envctl.instance.identity import instance_id
from tests.processes import held_port, states_of, things_of
from tests.support import Project

pytestmark = pytest.mark.docker

WORDS = """
variables: {word: hello}
services:
  events: {kind: nats}
  site: {kind: stub, with: {routes: routes.json}, env: {WORD: "${var.word}"}}
outputs: {SITE: "${site.url}", EVENTS: "${events.url}", WORD: "${var.word}"}
write: {.env.test: dotenv, "made/out.json": json}
"""
ROUTES = '{"request": {"url": "/"}, "response": {"body": "the stub"}}'
PAIR = """
services:
  site: {kind: stub, with: {routes: routes.json}}
  api:
    kind: api
    build: ./api
    run: python -u server.py
    port: 8000
    env: {SITE: "${site.url}"}
  events: {kind: nats}
outputs: {API: "${api.url}", SITE: "${site.url}"}
"""
SERVER = """
import http.server, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(urllib.request.urlopen(os.environ['SITE'] + '/', timeout=5).read())
    def log_message(self, *words): pass
http.server.HTTPServer(('0.0.0.0', 8000), Handler).serve_forever()
"""


def words(project: Project) -> Project:
    project.environment("env", WORDS)
    project.write("environments/routes.json", ROUTES)
    return project


def pair(project: Project) -> Project:
    project.environment("env", PAIR)
    project.write("environments/routes.json", ROUTES)
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\nWORKDIR /srv\nCOPY server.py .\n")
    project.write("environments/api/server.py", SERVER)
    return project


def asked(url: str) -> str:
    with urllib.request.urlopen(url + "/", timeout=10) as answer:
        return str(answer.read().decode())


def test_what_it_prints_for_people(project: Project) -> None:
    done = words(project).envctl("up", "env", env={"PYTHONIOENCODING": "ascii"}).ok()
    head, *rows, last = done.out.splitlines()
    assert re.fullmatch(r"env is up \(\d+\.\d s\)", head)
    assert {tuple(row.split()[:2]) for row in rows} == {("events", "nats"), ("events", "monitor"), ("site", "http")}
    assert all(re.search(r"127\.0\.0\.1:\d+$", row) for row in rows)
    assert last == "envctl env env prints its 3 outputs; envctl down env removes it"
    progress = done.err.splitlines()
    assert all(re.match(r" +\d+\.\d\d s  \S", line) for line in progress), progress
    assert progress[0].endswith(f"env: 2 services on docker ({instance_id('env', project.folder)})")
    assert any(re.search(r"s  site +ready$", line) for line in progress)
    assert "\x1b[" not in done.out + done.err
    without = project.envctl("shell", "env", "events")
    assert without.status in (126, 127)
    assert "envctl: events seems to have no shell in its image\n  `envctl status env` shows its address" in without.err


def test_the_document(project: Project) -> None:
    done = words(project).envctl("up", "env", "--json", "--ttl", "1h").ok()
    shown = done.json
    assert list(shown) == ["name", "id", "environment", "engine", "state", "expires", "services", "outputs", "lanes", "timings_ms"]
    assert (shown["name"], shown["environment"], shown["engine"], shown["state"]) == ("env", "env", "docker", "seeded")
    assert shown["id"] == instance_id("env", project.folder)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["expires"])
    assert shown["lanes"] == []
    assert all(isinstance(value, int) for value in shown["timings_ms"].values())
    for name, kind, ports in (("events", "nats", {"nats", "monitor"}), ("site", "stub", {"http"})):
        service = shown["services"][name]
        assert service.keys() == {"kind", "state", "ready_ms", "endpoints"}
        assert (service["kind"], service["state"]) == (kind, "seeded")
        assert isinstance(service["ready_ms"], int)
        assert service["endpoints"].keys() == ports
        assert all(where.keys() == {"host", "port"} for where in service["endpoints"].values())
    site = shown["services"]["site"]["endpoints"]["http"]
    assert shown["outputs"]["SITE"] == f"http://{site['host']}:{site['port']}"
    assert asked(shown["outputs"]["SITE"]) == "the stub"
    again = project.envctl("status", "env", "--json").ok().json
    assert again == shown


def test_the_document_of_a_failure(project: Project) -> None:
    project.environment(
        "env", "services:\n  site: {kind: stub}\n  bad: {image: 'python:3.13-slim', run: 'sh -c \"echo oh no; exit 4\"', port: 80}\n"
    )
    done = project.envctl("up", "env", "--json")
    assert done.status == 1
    shown = done.json
    assert shown.keys() >= {
        "name",
        "id",
        "environment",
        "engine",
        "state",
        "expires",
        "services",
        "outputs",
        "lanes",
        "timings_ms",
        "error",
    }
    assert (shown["name"], shown["environment"], shown["engine"], shown["state"]) == ("env", "env", "docker", "failed")
    assert "bad ended with 4" in shown["error"]
    assert "oh no" in shown["error"]
    assert "bad ended with 4" in done.err
    assert things_of(project) == []
    assert states_of(project) == []


def test_the_document_of_a_broken_definition(project: Project) -> None:
    project.environment("env", "services: {site: {kind: stubb}}\n")
    done = project.envctl("up", "env", "--json")
    assert done.status == 2
    assert done.json["state"] == "failed"
    assert "did you mean 'stub'?" in done.json["error"]


def test_files_of_write_are_kept_and_emptied(project: Project) -> None:
    words(project).write("environments/.env.test", "")
    outputs = project.envctl("up", "env", "--json").ok().json["outputs"]
    folder = project.folder / "environments"
    assert json.loads((folder / "made/out.json").read_text()) == outputs
    assert f"SITE={outputs['SITE']}" in (folder / ".env.test").read_text().replace('"', "")
    assert project.envctl("up", "env", "--set", "word=other", "--json").ok().json["outputs"]["WORD"] == "other"
    assert json.loads((folder / "made/out.json").read_text())["WORD"] == "other"
    project.envctl("down", "env").ok()
    assert (folder / "made/out.json").read_text() == ""
    assert (folder / ".env.test").read_text() == ""


def test_only_a_part(project: Project) -> None:
    shown = pair(project).envctl("up", "env", "--only", "events", "--json").ok().json
    assert list(shown["services"]) == ["events"]
    assert shown["outputs"] == {}, "what refers to the rest is left out"
    shown = project.envctl("up", "env", "--only", "api", "--json").ok().json
    assert set(shown["services"]) == {"site", "api"}
    assert asked(shown["outputs"]["API"]) == "the stub"
    running = [thing for thing in things_of(project) if thing.startswith("container")]
    assert len(running) == 2, "what is no longer part of it is gone"


def test_a_stub_in_the_place_of_a_service(project: Project) -> None:
    pair(project).write("environments/api/Dockerfile", "FROM nosuch.invalid/never:1\n")
    project.write("environments/stubs/api.json", '{"request": {"url": "/"}, "response": {"body": "instead"}}')
    shown = project.envctl("up", "env", "--stub", "api", "--json").ok().json
    assert shown["services"]["api"]["kind"] == "stub"
    assert asked(shown["outputs"]["API"]) == "instead"


def test_an_image_in_the_place_of_a_build(project: Project) -> None:
    pair(project).write("environments/api/Dockerfile", "FROM nosuch.invalid/never:1\n")
    text = PAIR.replace("python -u server.py", "python -u -m http.server 8000")
    project.environment("env", text)
    shown = project.envctl("up", "env", "--image", "api=python:3.13-slim", "--json").ok().json
    assert "Directory listing" in asked(shown["outputs"]["API"])


def test_a_server_that_runs_already(project: Project) -> None:
    """Outputs have the server's URL; containers reach the server through the machine's address."""
    with server(b"mine") as port:
        shown = pair(project).envctl("up", "env", "--only", "api", "--use", f"site=http://127.0.0.1:{port}", "--json").ok().json
        assert shown["outputs"]["SITE"] == f"http://127.0.0.1:{port}"
        assert set(shown["services"]) == {"api"}
        assert asked(shown["outputs"]["API"]) == "mine"
        by_hand = project.envctl("env", "env", "--for", "api", "--format", "json").ok().json
        assert by_hand["SITE"] == f"http://127.0.0.1:{port}"


@contextmanager
def server(body: bytes) -> Iterator[int]:
    """Yield the port of an HTTP server that listens on all addresses and always answers *body*."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def test_a_fixed_port(project: Project) -> None:
    with held_port() as port:
        pass
    shown = words(project).envctl("up", "env", "--only", "site", "--port", f"site={port}", "--json").ok().json
    assert shown["services"]["site"]["endpoints"]["http"]["port"] == port
    assert asked(f"http://127.0.0.1:{port}") == "the stub"
    unknown = project.envctl("up", "env", "--port", f"sight={port}")
    assert unknown.status == 2
    assert "did you mean 'site'?" in unknown.err


def test_options_by_words_variables_and_file(project: Project) -> None:
    """The order of precedence is: the command line, environment variables, the file."""
    words(project).write("envctl.toml", 'only = ["site"]\nttl = "1h"\nset = {word = "from the file"}\n')

    def up(*more: str, **env: str) -> dict[str, str]:
        shown = project.envctl("up", "env", "--json", *more, env=env).ok().json
        return {**shown["outputs"], "services": ",".join(shown["services"]), "expires": str(shown["expires"] or ""), "name": shown["name"]}

    by_file = up()
    assert (by_file["WORD"], by_file["services"]) == ("from the file", "site")
    by_variable = up(ENVCTL_TTL="3h", ENVCTL_VAR_WORD="from the environment", ENVCTL_ONLY="site events")
    assert by_variable["services"] == "events,site"
    assert by_variable["expires"] > by_file["expires"]
    by_word = up("--ttl", "9h", "--set", "word=from the words", "--only", "site", ENVCTL_TTL="3h", ENVCTL_VAR_WORD="no")
    assert (by_word["WORD"], by_word["services"]) == ("from the words", "site")
    assert by_word["expires"] > by_variable["expires"]
    assert up(ENVCTL_NAME="second")["name"] == "second"
    assert project.envctl("list").ok().out.count("\n") == 3


def test_a_variable_of_the_environment_sets_one(project: Project) -> None:
    shown = words(project).envctl("up", "env", "--only", "site", "--json", env={"ENVCTL_VAR_WORD": "x=y z"}).ok().json
    assert shown["outputs"]["WORD"] == "x=y z"


def test_a_compose_file_by_its_path(project: Project) -> None:
    project.write(
        "compose.yaml", "services:\n  web:\n    image: python:3.13-slim\n    command: python -m http.server 80\n    ports: ['80']\n"
    )
    shown = project.envctl("up", "compose.yaml", "--json").ok().json
    [where] = shown["services"]["web"]["endpoints"].values()
    assert "Directory listing" in asked(f"http://{where['host']}:{where['port']}")


def test_the_state_is_private(project: Project) -> None:
    words(project).envctl("up", "env", "--only", "site").ok()
    [folder] = states_of(project)
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert all(oct(Path(path).stat().st_mode & 0o077) == "0o0" for path in folder.glob("instance.json"))


def test_the_document_of_a_namesake(project: Project) -> None:
    """If two names give the same id, the instance that is up stays unchanged, and the document is about the new name."""
    words(project).envctl("up", "env", "--name", "a_b").ok()
    before = things_of(project)
    done = project.envctl("up", "env", "--name", "a-b", "--json")
    assert done.status == 2
    assert (done.json["name"], done.json["state"]) == ("a-b", "failed")
    assert "would share the id" in done.json["error"]
    assert things_of(project) == before


def test_every_replica_has_a_port_and_is_asked(project: Project) -> None:
    project.environment(
        "env",
        "services:\n  site:\n    image: python:3.13-slim\n    run: python -u -m http.server 8000\n    port: 8000\n    replicas: 3\n"
        "    ready: {http: /}\noutputs: {SITE: '${site.url}', PORT: '${site.port}'}\n".replace("'${site.url}'", "x"),
    )
    first = int(project.envctl("up", "env", "--json").ok().json["outputs"]["PORT"])
    for port in range(first, first + 3):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            assert answer.status == 200
