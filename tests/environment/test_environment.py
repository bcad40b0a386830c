"""Tests of checking a definition against its kinds, and of `open_environment`."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.kinds import load_kinds
from envctl.definition.load import load
from envctl.environment import check, open_environment
from envctl.errors import DefinitionError, Problem, UsageError


def problems(folder: Path, services: str, rest: str = "") -> list[Problem]:
    file = folder / "shop.yaml"
    file.write_text(f"name: shop\nservices:\n{services}\n{rest}\n")
    loaded = load(file, project=folder, environ={})
    assert loaded.problems == []
    return sorted(set(check(loaded, load_kinds(folder), {})))


RIGHT = [
    "  db: {kind: postgres, with: {databases: [a], users: [u], settings: {x: 3.10}}}",
    '  db: {kind: postgres, with: {databases: {"a b": {}}}}\n  w: {image: w, env: {A: "${db.databases[\'a b\'].url}"}}',
    "  db: {kind: postgres}\n  w: {image: w, env: {A: '${db.databases.values()|list}', B: '${db.first.databases}'}}",
    "  db: {kind: postgres}\n  w: {image: w, env: {A: '${db.nope|default(1)}', B: '${nope|default(2)}'}}",
    "  w: {image: w, ports: {web: 80}, env: {A: '${self.ports.web} ${self.host} ${self.outside.url} ${tester.host}'}}",
    "  a: {kind: api, run: x, port: 80, ready: {http: /x, port: http}}",
    "  a: {kind: api, run: x, port: 80, ready: {http: /x, port: 9000}}",
    "  j: {kind: job, image: j}\n  w: {image: w, needs: {j: done}}",
    "  db: {kind: postgres, seed: [{command: x, in: host}, {command: y, database: app}]}",
    "  db: {kind: postgres, ready: {query: select 1}}",
    "  db: {image: 'postgres:17', kind: postgres, version: null}",
    "  e: {kind: nats, with: {max_payload: '${var.x}', jetstream: '${var.y}'}}",
    "  q: {kind: rabbitmq, with: {management: true}}\n  w: {image: w, env: {A: '${q.ports.management}'}}",
]


@pytest.mark.parametrize("services", RIGHT)
def test_right(tmp_path: Path, services: str) -> None:
    assert problems(tmp_path, services, "variables: {x: 2MB, y: true}") == []


WRONG = {
    "  q: {kind: rabbitmq}\n  w: {image: w, env: {A: '${q.ports.management}'}}": "'q.ports' has no 'management'",
    "  a: {kind: api, image: x}": "services.a: an API needs a port",
    "  j: {kind: job}": "services.j: nothing says what to run",
    "  db: {kind: postgres, version: '13.4'}": "the kind 'postgres' does not know version '13.4'; known: 14, 15, 16, 17, 18; or give",
    "  j: {kind: job, image: j, replicas: 2}": "services.j.replicas: 'j' runs once",
    "  e: {kind: nats, with: {max_payload: '${db.url}'}}": "there is no service 'db'",
    "  e: {kind: nats, with: {jetstream: 'x${self.port}', nope: 1}}": "the kind 'nats' has no parameter 'nope'",
    "  db: {kind: postgres, with: {databases: [{owner: x}]}}": "services.db.with.databases.0: the key 'name' is missing",
    "  db: {kind: postgres, with: {databases: ['']}}": "services.db.with.databases.0: this is empty",
    "  db: {kind: postgres, with: {databases: [17]}}": 'expected text, not 17; write it in quotes: "17"',
    "  q: {kind: nats, seed: [{command: x, database: d}]}": "the kind 'nats' has no databases",
    "  s: {kind: stub, with: {routes: 5}}": "services.s.with.routes: expected text or a list, not 5",
    "  s: {kind: stub, with: {routes: [shop.yaml, 5]}}": "services.s.with.routes.1: expected text, not 5",
    "  s: {kind: stub, with: {routes: ../shop.yaml}}": "services.s.with.routes: '../shop.yaml' is outside of the project",
    "  w: {image: w, env: {A: '${self}'}}": "'self' is not a value by itself",
    "  w: {image: w, env: {A: '${env}'}}": "`env` is not a value",
    "  w: {image: w, env: {A: '${instance.nmae}'}}": "'instance' has no 'nmae'; did you mean 'name'?",
    "  w: {image: w, env: {A: '${w.inside.host}'}}": "a service refers to itself as `self`, not as 'w'; `${self.inside.host}`",
    "  w: {image: w, run: ['a', '${db.url}']}": "services.w.run.1: `${db.url}`: there is no service 'db'",
    "  w: {image: w, command: '--x=${db.url}'}": "services.w.command: `${db.url}`: there is no service 'db'",
    "  w: {image: w, port: 80, ready: {command: [x, '${db.url}']}}": "services.w.ready.command.1: `${db.url}`",
}


@pytest.mark.parametrize(("services", "message"), WRONG.items())
def test_wrong(tmp_path: Path, services: str, message: str) -> None:
    (tmp_path / "shop.yaml").touch()
    found = problems(tmp_path, services)
    assert any(message in str(problem) for problem in found), found
    assert all(problem.line in (3, 4) for problem in found)


def test_a_broken_kind_is_told_with_its_own_file(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "kinds"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("image: x\nprots: {}\n")
    (problem,) = problems(tmp_path, "  a: {kind: mine}\n  b: {kind: mine}")
    assert (problem.file.name, problem.line) == ("mine.yaml", 2)
    assert "did you mean 'ports'?" in problem.hint


def test_a_kind_whose_schema_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "kinds"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("image: x\nparameters: {a: {type: strng}, b: {type: string, pattern: '('}}\n")
    found = problems(tmp_path, "  a: {kind: mine, with: {a: x, b: y}}")
    assert [problem.path for problem in found] == ["services.a.with.a", "services.a.with.b"]
    assert all("the kind's schema for this is wrong" in problem.message for problem in found)


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ("{type: string, pattern: '^(a+)+$'}", "does not have the right form"),
        ("{type: string, pattern: '^(?=a)'}", "look-around"),
        ("{type: string, patternProperties: {'^(a+)+$': {}}}", "`patternProperties` is not supported"),
    ],
)
def test_a_pattern_of_a_kind_ends(tmp_path: Path, schema: str, wrong: str) -> None:
    folder = tmp_path / "templates" / "kinds"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"image: x\nparameters: {{a: {schema}}}\n")
    (found,) = problems(tmp_path, f'  a: {{kind: mine, with: {{a: "{"a" * 50_000}\\n"}}}}')
    assert (found.line, found.path) == (3, "services.a.with.a")
    assert wrong in found.message


def test_an_environment(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "envctl.toml").touch()
    (tmp_path / "environments" / "shop.yaml").write_text("name: shop\nvariables: {v: a}\nservices: {w: {image: 'w:${var.v}'}}\n")
    environment = open_environment("shop", cwd=tmp_path, overrides={"v": "b"}, environ={})
    assert environment.definition.services["w"].image == "w:b"
    assert environment.loaded.project == tmp_path
    assert environment.kinds["stub"].kind == "stub"
    assert environment.used == {}


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("name: shop\nttl: soon\nservices: {w: {kind: oracle}, x: {image: x, prot: 1}}\n")
    with pytest.raises(DefinitionError) as caught:
        open_environment("shop.yaml", cwd=tmp_path, overrides={"no": "1"}, environ={})
    assert [problem.path for problem in caught.value.problems] == [
        "variables",
        "ttl",
        "services.w.kind",
        "services.x.prot",
    ]
    assert caught.value.exit_code == 2


def test_an_unknown_environment(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no environment 'shop'"):
        open_environment("shop", cwd=tmp_path, environ={})


@pytest.mark.parametrize(
    ("kind", "given", "right"),
    [
        ("s3", "buckets: [up]", "3 to 63"),
        ("s3", "buckets: {Uploads: {}}", "lower-case"),
        ("s3", "buckets: [{name: my_files}]", "hyphens"),
        ("s3", "buckets: up", "3 to 63"),
        ("kafka", "topics: [order made]", "letters, digits"),
        ("nats", "streams: {a.b: {subjects: [a]}}", "no spaces"),
    ],
)
def test_a_name_that_its_server_would_refuse_is_said_with_its_line(tmp_path: Path, kind: str, given: str, right: str) -> None:
    found = problems(tmp_path, f"  one:\n    kind: {kind}\n    with:\n      {given}")

    assert [(problem.line, right in problem.hint) for problem in found] == [(6, True)]
    assert "does not have the right form" in found[0].message
