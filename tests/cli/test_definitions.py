"""`init`, `validate`, `schema`, `render`: the commands that need no engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.support import Project, command, labelled

APP = """
services:
  site: {kind: stub, with: {routes: routes.json}}
  web: {kind: web, with: {root: page}}
  app:
    build: ./app
    run: python -u -m http.server ${self.port}
    port: 8000
    ready: {http: /}
    env: {SITE: "${site.url}"}
"""
ROUTES = '{"request": {"url": "/a"}, "response": {"status": 200}}'


def written(project: Project) -> Project:
    project.environment("env", APP)
    project.write("environments/routes.json", ROUTES)
    project.write("environments/page/index.html", "hello")
    project.write("environments/app/Dockerfile", "FROM python:3.13-slim\nWORKDIR /srv\nCOPY index.html .\n")
    project.write("environments/app/index.html", "built")
    return project


def test_init_proposes_what_up_understands(project: Project) -> None:
    project.write("pyproject.toml", '[project]\nname = "demo"\nversion = "1"\ndependencies = ["psycopg[binary]>=3"]\n')
    project.write(".env.example", "DATABASE_URL=postgresql://demo:demo@localhost:5432/demo\n")
    shown = project.envctl("init", "--print", "--name", "first").ok().out
    assert not (project.folder / "environments").exists()
    done = project.envctl("init", "--yes", "--name", "first").ok()
    assert done.out == "wrote environments/first.yaml\n"
    assert "next: envctl up first" in done.err
    assert (project.folder / "environments/first.yaml").read_text() == shown
    assert yaml.safe_load(shown)["services"]["db"]["kind"] == "postgres"
    assert project.envctl("validate").ok().out == "first: 1 service, no mistakes\n"
    again = project.envctl("init", "--yes", "--name", "first")
    assert (again.status, again.out) == (2, "")
    assert "first.yaml exists already" in again.err
    project.envctl("init", "--yes", "--name", "first", "--force", "--schema").ok()
    assert json.loads((project.folder / "environments/envctl.schema.json").read_text())


def test_validate_tells_all_mistakes_of_all_environments(project: Project) -> None:
    written(project)
    project.environment("one", "services: {db: {kind: postgers}}\n")
    project.environment("two", "servces: {}\n")
    done = project.envctl("validate")
    assert done.status == 2
    assert done.out.startswith(
        "env: 3 services, no mistakes\nenv may do this on your machine:\n  environments/env.yaml:8: services.app.run: "
    )
    assert "environments/one.yaml:2: services.db.kind: unknown kind 'postgers'; did you mean 'postgres'?" in done.err
    assert "environments/two.yaml:2:" in done.err
    assert "did you mean 'services'?" in done.err
    assert done.err.splitlines()[-1].startswith("envctl: ")
    assert "mistakes" in done.err.splitlines()[-1]
    assert project.envctl("validate", "env").ok().err == ""


def test_validate_where_there_is_nothing(project: Project) -> None:
    done = project.envctl("validate")
    assert done.status == 2
    assert "`envctl init` writes a first one" in done.err


def test_a_variable_that_is_required(project: Project) -> None:
    project.environment(
        "env", "variables: {key: {from: NO_SUCH_KEY, secret: true}}\nservices: {site: {kind: stub, env: {K: '${var.key}'}}}\n"
    )
    done = project.envctl("validate", "env")
    assert done.status == 2
    assert "NO_SUCH_KEY" in done.err
    project.envctl("validate", "env", env={"NO_SUCH_KEY": "x"}).ok()
    project.envctl("validate", "env", env={"ENVCTL_VAR_KEY": "x"}).ok()
    project.envctl("validate", "env", "--set", "key=x").ok()


def test_the_schema_takes_the_examples_and_refuses_a_mistake(project: Project) -> None:
    project.write("templates/kinds/oracle.yaml", "kind: oracle\ntitle: Oracle\nextends: postgres\n")
    schema = json.loads(project.envctl("schema").ok().out)
    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.check_schema(schema)
    assert not list(validator.iter_errors(yaml.safe_load("name: env\n" + APP)))
    assert not list(validator.iter_errors({"name": "a", "services": {"db": {"kind": "oracle", "with": {"databases": ["x"]}}}}))
    assert list(validator.iter_errors({"name": "a", "services": {"db": {"kind": "postgres", "with": {"databses": ["x"]}}}}))


def test_render_prints_the_same_bytes_each_time(project: Project) -> None:
    written(project)
    first = project.envctl("render", "env").ok()
    assert first.out == project.envctl("render", "env").ok().out
    document = yaml.safe_load(first.out)
    assert set(document["services"]) == {"site", "web", "app"}
    assert "\x1b[" not in first.out + first.err
    assert "envctl.expires" not in first.out


def test_render_takes_the_options_that_choose(project: Project) -> None:
    written(project)
    assert set(yaml.safe_load(project.envctl("render", "env", "--only", "app").ok().out)["services"]) == {"site", "app"}
    stubbed = yaml.safe_load(project.envctl("render", "env", "--stub", "app").ok().out)["services"]["app"]
    assert stubbed["image"].startswith("python:")
    assert "build" not in stubbed
    imaged = yaml.safe_load(project.envctl("render", "env", "--image", "app=nginx:1.26").ok().out)["services"]["app"]
    assert imaged["image"] == "nginx:1.26"
    fixed = yaml.safe_load(project.envctl("render", "env", "--port", "site=23456").ok().out)["services"]["site"]["ports"]
    assert [port["published"] for port in fixed] == ["23456"]
    used = project.envctl("render", "env", "--use", "site=http://127.0.0.1:9999/x").ok()
    assert "site" not in yaml.safe_load(used.out)["services"]
    assert "http://host.docker.internal:9999/x" in used.out


def test_render_rewrites_images_and_their_registry(project: Project) -> None:
    written(project)
    project.write("envctl.toml", 'images = {"docker.io" = "registry.corp/hub"}\n')
    services = yaml.safe_load(project.envctl("render", "env").ok().out)["services"]
    assert services["web"]["image"].startswith("registry.corp/hub/library/nginx:")
    assert services["site"]["image"].startswith("registry.corp/hub/library/python:")
    assert services["app"]["image"].startswith("envctl/app:"), "what is built here is pulled from nowhere"


def test_losses_are_told_and_strict_fails_on_them(project: Project) -> None:
    project.environment("lossy", "services: {events: {kind: nats}}\n")
    done = project.envctl("render", "lossy").ok()
    assert "not supported here: events: its readiness" in done.err
    strict = project.envctl("render", "lossy", "--strict")
    assert strict.status == 1
    assert "3 things not supported here (--strict)" in strict.err
    project.write("envctl.toml", "strict = true\n")
    assert project.envctl("render", "lossy").status == 1


def test_a_folder_that_cannot_be_written(project: Project) -> None:
    written(project).write("taken", "a file")
    done = project.envctl("render", "env", "-o", "taken/below")
    assert (done.status, done.out) == (2, "")
    assert "taken/below cannot be written" in done.err


@pytest.mark.docker
def test_plain_compose_brings_up_what_was_rendered(project: Project) -> None:
    target = written(project).folder / "rendered"
    done = project.envctl("render", "env", "--name", f"rendered-{os.getpid()}", "-o", str(target)).ok()
    assert done.out == ""
    try:
        compose(target, "up", "--wait", "--quiet-pull")
        shown = [json.loads(line) for line in compose(target, "ps", "--format", "json").splitlines()]
        assert {each["Service"]: each["Health"] for each in shown} == {"site": "healthy", "web": "healthy", "app": "healthy"}
        assert "built" in compose(target, "exec", "-T", "app", "cat", "index.html")
    finally:
        compose(target, "down", "-v", "-t", "0")
    assert not [thing for thing in labelled() if f"rendered-{os.getpid()}" in thing]


def compose(folder: Path, *words: str) -> str:
    done = subprocess.run(["docker", "compose", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_render_needs_no_docker(project: Project) -> None:
    written(project)
    command(["render", "env"], project.folder, {"DOCKER_HOST": "unix:///nowhere.sock", "PATH": ""}).ok()


def test_validate_says_it_to_githubs_runner(project: Project) -> None:
    project.environment("one", "services: {db: {kind: postgers}}\n")
    told = project.envctl("validate", "one", env={"GITHUB_ACTIONS": "true"}).err
    assert "::error file=environments/one.yaml,line=2::services.db.kind: unknown kind 'postgers'" in told
    assert "::error" not in project.envctl("validate", "one", env={"GITHUB_ACTIONS": ""}).err
