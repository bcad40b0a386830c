"""All kinds in one rendered file, brought up by plain Compose: every health check in the file passes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kinds.support import PASSWORD, USERNAME, text
from tests.support import Project

pytestmark = pytest.mark.docker

LOGIN = f"{{username: {text(USERNAME)}, password: {text(PASSWORD)}}}"
SERVICES = f"""
services:
  pg: {{kind: postgres, with: {{password: {text(PASSWORD)}, databases: [app, audit]}}}}
  maria: {{kind: mariadb, with: {LOGIN}}}
  valkey: {{kind: valkey, with: {{password: {text(PASSWORD)}}}}}
  redis: {{kind: redis}}
  memcached: {{kind: memcached}}
  rabbit: {{kind: rabbitmq, with: {LOGIN}}}
  nats: {{kind: nats, with: {LOGIN}}}
  kafka: {{kind: kafka, with: {{topics: [orders]}}}}
  mqtt: {{kind: mqtt, with: {LOGIN}}}
  s3: {{kind: s3, with: {{password: {text(PASSWORD)}, buckets: [invoices]}}}}
  mail: {{kind: mail, with: {{password: {text(PASSWORD)}}}}}
  site: {{kind: web, with: {{root: pages}}}}
  payments: {{kind: stub, with: {{routes: routes.json}}}}
  built: {{kind: api, build: program, port: 8000, ready: {{http: /}}, env: {{SAID: {text(PASSWORD)}}}}}
  once: {{kind: job, image: "python:3.13-slim", run: [python3, -c, "import os; print(os.environ['DB'])"], env: {{DB: "${{pg.url}}"}}}}
  program:
    image: python:3.13-slim
    run: python3 -m http.server --bind ${{self.bind}} ${{self.port}}
    port: 7000
    needs: [once]
    env: {{ALL: "${{maria.url}} ${{nats.url}} ${{rabbit.url}} ${{kafka.bootstrap}} ${{mail.url}}"}}
"""
WITHOUT_A_CHECK = {"nats", "once"}
"""Services without a health check: the image of NATS has no program that could check, and a job ends by itself."""


def compose(folder: Path, *words: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    command = ["docker", "compose", *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def rendered(project: Project) -> Iterator[Path]:
    project.environment("all", SERVICES)
    project.write("environments/pages/index.html", "hello\n")
    (project.folder / "environments/pages/pixel.bin").write_bytes(bytes(range(256)))
    project.write("environments/routes.json", '{"request": {"urlPath": "/x"}, "response": {"status": 204}}')
    run = 'CMD ["python3", "-m", "http.server", "8000"]'
    project.write("environments/program/Dockerfile", f"FROM python:3.13-slim\nWORKDIR /tmp\n{run}\n")
    folder = project.folder / "out"
    done = project.envctl("render", "all", "--engine", "docker", "-o", str(folder)).ok()
    assert "nats: its readiness" in done.err
    assert "needs this job" not in done.err
    yield folder
    compose(folder, "down", "-v", "--timeout", "0", "--remove-orphans")


def test_plain_compose_brings_all_of_it_up(rendered: Path) -> None:
    compose(rendered, "up", "--wait", "--quiet-pull")
    found = [json.loads(line) for line in compose(rendered, "ps", "--all", "--format", "json").splitlines()]
    states = {entry["Service"]: _state(entry) for entry in found}
    assert len(states) == 16
    assert {name: state for name, state in states.items() if name not in WITHOUT_A_CHECK} == dict.fromkeys(
        states.keys() - WITHOUT_A_CHECK, "healthy"
    )
    assert (states["nats"], states["once"]) == ("running", "exited 0")
    assert "postgresql://" in compose(rendered, "logs", "--no-log-prefix", "once")


def _state(entry: dict[str, Any]) -> str:
    return entry["Health"] or (f"exited {entry['ExitCode']}" if entry["State"] == "exited" else entry["State"])


def test_a_job_that_nobody_needs_is_a_loss(project: Project) -> None:
    project.environment("job", "services:\n  once: {kind: job, image: busybox}\n")
    done = project.envctl("render", "job", "--engine", "docker").ok()
    assert "once: no service needs this job" in done.err
