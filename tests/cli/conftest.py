"""Bring up one environment for all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Project, missing

LOOKED_AT = """
variables:
  token: {from: NO_SUCH_VARIABLE, secret: true, default: "to%ken-of\\ntwo lines"}
services:
  db:
    kind: postgres
    with: {databases: [app]}
    seed: [{sql: people.sql}]
  site:
    kind: stub
    with: {routes: routes.json}
  api:
    kind: api
    image: python:3.13-slim
    port: 8000
    run: python -u -c ${var.program}
    env: {SITE: "${site.url}/hello", DATABASE: "${db.host}:${db.port}", TOKEN: "${var.token}", "ODD": "a 'b' \\"c\\" $d"}
outputs:
  SITE: ${site.url}
  DATABASE_URL: ${db.url}
  TOKEN: ${var.token}
  ODD: a 'b' "c" $d
"""
PROGRAM = """
import http.server, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(urllib.request.urlopen(os.environ['SITE'], timeout=5).read())
    def log_message(self, *words): print('asked for', self.path)
print('listening')
http.server.HTTPServer(('0.0.0.0', 8000), Handler).serve_forever()
"""
HELLO = '{"request": {"url": "/hello"}, "response": {"body": "hello"}}'


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a project with `env` up: PostgreSQL, a stub, and a program that requests the stub. Tests must not change it."""
    if "docker" in missing:
        pytest.skip(f"no Docker here: {missing['docker']}")
    project = Project(tmp_path_factory.mktemp("looked-at") / "envctl-tests")
    project.write("envctl.toml", "")
    project.write("environments/people.sql", "create table people (name text);\ninsert into people values ('Zoë');\n")
    project.write("environments/routes.json", HELLO)
    program = "\n".join(f"    {line}" for line in PROGRAM.strip().splitlines())
    project.environment("env", LOOKED_AT.replace("variables:", f"variables:\n  program: |\n{program}"))
    project.envctl("up", "env").ok()
    yield project
    project.down()
