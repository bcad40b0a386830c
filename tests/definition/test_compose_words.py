"""Tests that a Compose file of any name is recognised, and that keys of Compose in a definition are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.compose_words import OUR_WORDS
from envctl.definition.find import is_compose_file
from envctl.environment import open_environment
from envctl.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("services: {n: {image: nats}}\n", True),
        ("name: x\nservices:\n  n: {image: nats, environment: {A: b}}\n", True),
        ("name: x\nservices:\n  n: {image: nats, ports: ['80:80']}\n", True),
        ("version: '3'\nservices:\n  n: {image: nats, env_file: .env}\n", True),
        ("name: x\nservices:\n  n: {image: nats}\n", False),
        ("services:\n  n: {kind: nats}\n", False),
        ("services:\n  n: {image: nats, environment: {A: b}, ready: {tcp: true}}\n", False),
        ("services: {n: {image: nats}}\noutputs: {A: b}\n", False),
        ("on: push\njobs: {}\n", False),
        ("services: [\n", False),
    ],
)
def test_a_compose_file_is_known_by_what_stands_in_it(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "stack.yml").write_text(text)
    assert is_compose_file(tmp_path / "stack.yml") is expected
    assert not is_compose_file(tmp_path / "environments" / "stack.yml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include: [a/inc.yml]\n", True),
        ("include: [a/inc.yml, {path: b.yml, env_file: x.env}]\n", True),
        ("name: x\ninclude: [{path: b.yml}]\n", True),
        ("name: x\ninclude: [a/inc.yml]\n", True),
        ("name: x\ninclude: [a/again.yml]\n", True),
        ("name: x\ninclude: [ours.yml]\n", False),
        ("name: x\ninclude: [a/inc.yml]\noutputs: {A: b}\n", False),
        ("include: [nowhere.yml, stack.yml, '${env.X}.yml']\n", False),
        ("name: x\nvolumes: {d: }\nservices: {n: {image: nats}}\n", True),
        ("name: x\nx-base: &base {environment: {A: b}}\nservices: {n: {<<: *base, image: nats}}\n", True),
        ("name: x\nservices: {n: {extends: {file: a.yml, service: b}}}\n", True),
    ],
)
def test_includes_and_merged_keys_count(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "a/inc.yml").write_text("services: {n: {image: nats, environment: {A: b}}}\n")
    (tmp_path / "a/again.yml").write_text("include: [../a/inc.yml, again.yml]\n")
    (tmp_path / "ours.yml").write_text("services: {n: {kind: nats}}\n")
    (tmp_path / "stack.yml").write_text(text)
    assert is_compose_file(tmp_path / "stack.yml") is expected


@pytest.mark.parametrize("word", OUR_WORDS)
def test_composes_words_in_a_definition_are_answered_with_ours(tmp_path: Path, word: str) -> None:
    (tmp_path / "x.yaml").write_text(f"name: x\nservices:\n  a:\n    kind: valkey\n    {word}: []\n")
    with pytest.raises(DefinitionError) as caught:
        open_environment("x.yaml", cwd=tmp_path, environ={})
    (problem,) = caught.value.problems
    assert (problem.line, problem.message, problem.hint) == (5, f"'{word}' is the name that Compose uses", OUR_WORDS[word])
