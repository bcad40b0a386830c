"""Tests of the JSON Schema: it accepts what envctl accepts, and an editor with the schema finds mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from envctl.definition.json_schema import json_schema
from envctl.definition.kinds import load_kinds
from envctl.definition.source import parse, read

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted([*(ROOT / "environments").glob("*.y*ml"), *(ROOT / "environments").glob("*/environment.y*ml")])
SCHEMA = json_schema(load_kinds())
VALIDATOR = Draft202012Validator(SCHEMA)


def errors(tree: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in VALIDATOR.iter_errors(tree)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert EXAMPLES


@pytest.mark.parametrize("file", [*EXAMPLES, ROOT / "tests/definition/valid.yaml"], ids=lambda file: f"{file.parent.name}-{file.name}")
def test_examples_are_valid(file: Path) -> None:
    assert errors(read(file, file.parent).tree) == []


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nservices: {db: null}",
        "name: x\nx-any: 1\nservices: {db: {x-any: 1}}",
        "include: [a.yaml]",
        "from: {file: [a.yaml, b.yaml], profiles: [front]}",
        'name: x\nservices: {w: {port: "${var.port}", shell: "${var.x}", replicas: "${env.N}"}}',
        'name: x\nservices: {w: {kind: "${var.kind}"}}',
        "name: x\nservices: {db: {kind: postgresql, with: {databases: [a, {name: b, owner: c}], users: {c: null}}}}",
        'name: x\nservices: {db: {kind: postgres, with: {durable: "${var.x}"}}}',
        "name: x\nservices: {s: {kind: stub, with: {routes: [a, b]}}}",
        "name: x\nservices: {w: {needs: db, env_file: a, env: {A: 1, B: true, C: null}, version: 17}}",
        "name: x\nservices: {w: {build: {context: ., cache_from: [x]}, ready: {status: [200]}, stop: 5}}",
        "name: x\ntests: {a: x y, b: [x, y], c: {run: x, only: a}}",
        "name: x\nvariables: {a: 1, b: {from: B}, c: [x]}",
    ],
)
def test_valid(text: str) -> None:
    assert errors(parse(text, Path("x")).tree) == []


@pytest.mark.parametrize(
    "text",
    [
        "services: {}",
        "name: x\nservises: {}",
        "name: x\nservices: {db: postgres}",
        "name: x\nservices: {db: {kind: postgers}}",
        "name: x\nservices: {db: {kind: postgres, with: {databses: []}}}",
        "name: x\nservices: {db: {kind: postgres, with: {durable: 3}}}",
        "name: x\nservices: {db: {kind: postgres, with: {databases: {a: {ownr: x}}}}}",
        "name: x\nservices: {w: {with: {a: b}}}",
        "name: x\nservices: {w: {port: many}}",
        "name: x\nservices: {w: {port: 70000}}",
        "name: x\nservices: {w: {needs: {db: redy}}}",
        "name: x\nservices: {w: {build: {contxt: .}}}",
        "name: x\nservices: {w: {from_compose: true}}",
        "name: x\nservices: {w: {resources: {memory: lots}}}",
        "name: x\nvariables: {a: {defualt: 1}}",
        "name: x\ntests: {a: {only: x}}",
    ],
)
def test_invalid(text: str) -> None:
    assert errors(parse(text, Path("x")).tree)


def test_a_kind_of_the_project_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "kinds"
    folder.mkdir(parents=True)
    (folder / "oracle.yaml").write_text("also: [ora]\nparameters: {sid: {type: integer, description: Its SID.}}\n")
    validator = Draft202012Validator(json_schema(load_kinds(tmp_path)))
    definition = {"name": "x", "services": {"db": {"kind": "ora", "with": {"sid": 1}}}}
    assert validator.is_valid(definition)
    assert validator.is_valid({"name": "x", "services": {"db": {"kind": "oracle", "with": {"sid": "${var.sid}"}}}})
    definition["services"]["db"]["with"]["sid"] = "x"  # type: ignore[index]
    assert not validator.is_valid(definition)


def test_an_editor_has_words_for_every_key() -> None:
    service = SCHEMA["$defs"]["Service"]["properties"]
    for properties in (SCHEMA["properties"], service):
        assert [name for name, schema in properties.items() if not schema.get("description")] == []
