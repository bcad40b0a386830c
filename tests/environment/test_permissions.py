"""Tests of what an environment may do on this machine, and of what `--untrusted` refuses."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from envctl.environment import open_environment
from envctl.environment.permissions import _read_by_compose, powers
from envctl.errors import DefinitionError
from tests.builders import environment_of, write

STRANGE = "name: e\nservices:\n  x: {kind: valkey, seed: [{command: ./seed}], env: {TOKEN: }}\nwrite: {a: json}\n"
OWN = "kind: own\nimage: x\nports: {main: 1}\n"
API = "image: nginx, port: 80"


def shown(folder: Path, services: str, files: dict[str, str] | None = None, more: str = "") -> list[str]:
    environment = environment_of(folder, f"services:\n{services}\n{more}", files or {})
    return [problem.message for problem in powers(environment.loaded, environment.kinds)]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (f"{API}, run: ./serve", "runs a program on this machine, with `--engine local` or `--local`"),
        (f"{API}, env: {{TOKEN: }}", "reads the variable TOKEN of your environment"),
        (f"{API}, env: {{A: '${{env.TOKEN | default(1)}}'}}", "reads the variable TOKEN of your environment"),
        (f"{API}, env_file: bare.env", "reads the variable TOKEN of your environment (for bare.env)"),
        ("kind: postgres, seed: [{command: ./seed}]", "runs a command on this machine, to seed"),
        ("kind: postgres, seed: [{sql: a.sql}]", "a.sql has commands for the database's client"),
        ("kind: postgres, seed: [{sql: packed.sql.gz}]", "packed.sql.gz has commands for the database's client"),
        ("kind: postgres, publish: 5432", "uses a fixed port of this machine"),
        (f"{API}, files: {{/x: link}}", "follows the link link"),
        (f"{API}, compose: {{volumes: ['/etc:/x']}}", "mounts /etc of this machine"),
        (f"{API}, compose: {{volumes: ['~/.ssh:/x']}}", "mounts ~/.ssh of this machine"),
        (f"{API}, compose: {{volumes: [{{type: bind, source: /etc, target: /x}}]}}", "mounts /etc of this machine"),
        (f"{API}, compose: {{volumes: ['/var/run/docker.sock:/x']}}", "has Docker's socket, and so can control this machine"),
        (f"{API}, compose: {{privileged: true}}", "runs with `privileged`"),
        (f"{API}, compose: {{cap_add: [SYS_ADMIN]}}", "runs with `cap_add`"),
        (f"{API}, compose: {{network_mode: host}}", "shares `network_mode` with this machine"),
        (f"{API}, compose: {{pid: host}}", "shares `pid` with this machine"),
        (f"{API}, kubernetes: {{spec: {{hostNetwork: true}}}}", "changes its objects in the cluster"),
        (f"{API}, kubernetes: [{{apiVersion: v1, kind: Secret, metadata: {{name: s}}}}]", "adds a Secret, s, to the cluster"),
        ("port: 80, build: {context: app, network: host}", "builds in the network of this machine"),
        ("port: 80, build: {context: app, network: 'container:x'}", "builds in the network of this machine, or of another container"),
        ("port: 80, build: {context: app, args: [TOKEN, 'A=']}", "reads the variable TOKEN of your environment"),
        ("port: 80, build: {context: app, args: {TOKEN: }}", "reads the variable TOKEN of your environment"),
        ("port: 80, build: {context: app, tags: ['postgres:17']}", "builds with `tags`"),
        ("port: 80, build: {context: app, ssh: [default]}", "builds with `ssh`"),
        (f"{API}, compose: {{env_file: /etc/passwd}}", "runs with `env_file`"),
        (f"{API}, compose: {{provider: {{type: x}}}}", "runs with `provider`"),
        ("port: 80, build: {context: app, cache_to: ['type=local,dest=/x']}", "builds with `cache_to`"),
        ("kind: own", "has a kind of the project's own (own)"),
    ],
)
def test_what_is_asked_for_is_shown_with_its_line(tmp_path: Path, service: str, expected: str) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "packed.sql.gz").write_bytes(gzip.compress(b"select 1;\n\\! id\n"))
    files = {
        "a.sql": "select 1;\n\\! id\n",
        "bare.env": "A=1\nTOKEN\n",
        "app/Dockerfile": "FROM x\n",
        "templates/kinds/own.yaml": OWN,
    }
    environment = environment_of(tmp_path, f"services:\n  x: {{{service}}}\n", files)
    found = powers(environment.loaded, environment.kinds)
    assert [problem.line for problem in found if expected in problem.message] == [3], found


@pytest.mark.parametrize(
    "service",
    [
        f"{API}, env: {{A: b}}, files: {{/x: a.sql}}, compose: {{volumes: ['data:/x'], cap_drop: [ALL]}}",
        "kind: postgres, seed: [{sql: plain.sql}, {command: psql, in: server}]",
        "port: 80, build: {context: app, args: {A: b}}",
    ],
)
def test_ordinary_environments_ask_for_nothing(tmp_path: Path, service: str) -> None:
    files = {"a.sql": "\\! id", "plain.sql": "\\restrict x\n\\connect app\nCOPY t FROM stdin;\n1\n\\.\n", "app/Dockerfile": "FROM x\n"}
    assert shown(tmp_path, f"  x: {{{service}}}", files) == []


def test_variables_and_written_files_are_shown(tmp_path: Path) -> None:
    more = "variables: {key: {from: API_KEY, default: x}}\nwrite: {.env: dotenv}\n"
    assert shown(tmp_path, f"  x: {{{API}}}", more=more) == ["reads the variable API_KEY of your environment", "writes the file .env"]


def test_a_strangers_is_refused_with_all_of_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"environment.yaml": STRANGE},
    )
    with pytest.raises(DefinitionError) as caught:
        open_environment(tmp_path / "environment.yaml", cwd=tmp_path, environ={}, untrusted=True)
    assert [problem.line for problem in sorted(caught.value.problems)] == [3, 3, 4]
    assert {problem.hint for problem in caught.value.problems} == {"`--untrusted` refuses it"}


def test_programs_of_a_strangers_are_for_containers(tmp_path: Path) -> None:
    """`--untrusted` refuses local processes altogether, so `run:` does not need an error of its own."""
    write(tmp_path, {"environment.yaml": "name: e\nservices:\n  x: {image: x, port: 1, run: ./serve}\n"})
    open_environment(tmp_path / "environment.yaml", cwd=tmp_path, environ={}, untrusted=True)


def test_commands_of_tests_are_shown_and_for_test_alone(tmp_path: Path) -> None:
    text = f"name: e\nservices:\n  x: {{{API}}}\ntests: {{t: {{run: id}}}}\n"
    write(tmp_path, {"environment.yaml": text})
    environment = open_environment(tmp_path / "environment.yaml", cwd=tmp_path, environ={}, untrusted=True)
    assert [problem.message for problem in powers(environment.loaded, environment.kinds)] == [
        "runs a command on this machine, with `envctl test`"
    ]


def test_a_strangers_kinds_are_not_read_at_all(tmp_path: Path) -> None:
    """This includes a project's kind that would be the parent of a built-in kind."""
    write(
        tmp_path,
        {"environment.yaml": "name: e\nservices: {x: {kind: redis}}\n", "templates/kinds/valkey.yaml": "kind: valkey\nimage: evil\n"},
    )
    environment = open_environment(tmp_path / "environment.yaml", cwd=tmp_path, environ={}, untrusted=True)
    assert environment.kinds["redis"].image != "evil"


def test_a_strangers_environment_sees_no_variables(tmp_path: Path) -> None:
    write(tmp_path, {"environment.yaml": "name: e\nservices: {x: {kind: valkey, env: {A: '${env.TOKEN | default(1)}'}}}\n"})
    with pytest.raises(DefinitionError) as caught:
        open_environment(tmp_path / "environment.yaml", cwd=tmp_path, environ={"TOKEN": "topsecret"}, untrusted=True)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres:${TAG}", ["TAG"]),
        ("postgres:$TAG", ["TAG"]),
        ("$TAG-17", ["TAG"]),
        ("postgres:${TAG:?no tag}", ["TAG"]),
        ("postgres:${TAG:+x}", ["TAG"]),
        ("postgres:${TAG:-17}", []),
        ("postgres:${TAG-17}", []),
        ("postgres:${TAG:-${OTHER}}", ["OTHER"]),
        ("postgres:${DOCKER_AUTH_CONFIG:-x}", ["DOCKER_AUTH_CONFIG"]),
        ("postgres:$${TAG}", []),
    ],
)
def test_variables_of_a_compose_file(text: str, expected: list[str]) -> None:
    """A variable with a default is not needed; with `--untrusted`, Compose gets no variables except Docker's own."""
    assert _read_by_compose(text) == expected
