"""Property tests: no content of a file gives a traceback, and every error has a file, a line and a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envctl.definition.kinds import load_kinds
from envctl.definition.load import load
from envctl.definition.source import parse
from envctl.environment import check
from envctl.errors import Problem

VALID = (Path(__file__).parent / "valid.yaml").read_text("utf-8")
TREE: dict[str, Any] = parse(VALID, Path("valid.yaml")).tree or {}
KINDS = load_kinds()
WRONG_BYTES = ["", "\t", "  ", ":", "- ", "&a ", "*a", "!x ", "${", "}", '"', "\0", "\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def problems(folder: Path, content: bytes) -> list[Problem]:
    file = folder / "shop.yaml"
    file.write_bytes(content)
    loaded = load(file, project=folder, environ={})
    return [*loaded.problems, *check(loaded, KINDS, {})]


def assert_located(found: list[Problem], content: bytes) -> None:
    lines = len(content.decode("utf-8", "replace").splitlines())
    for problem in found:
        assert problem.file.name == "shop.yaml"
        assert 1 <= problem.line <= lines + 1
        assert problem.message
        assert "[type=" not in str(problem)


KEYS = st.sampled_from(
    [
        *("name", "services", "kind", "with", "seed", "ready", "env", "ports", "build", "needs", "run", "outputs"),
        *("tests", "variables", "include", "from", "x-a", "<<", "db", "", "1", "self", "write", "databases", "only"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.floats()
    | st.sampled_from(["postgres", "${db.url}", "${var.x}", "${", "$${x}", "../..", "/", "a b", "", "${9**9**9}", "~", "1h"])
    | st.text(max_size=8)
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=15)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.lists(TREES, min_size=1, max_size=3))
def test_a_valid_definition_with_wrong_parts(folder: Path, data: st.DataObject, parts: list[Any]) -> None:
    tree: Any = TREE
    for part in parts:
        tree = replaced(tree, data.draw(st.sampled_from(places(tree))), part)
    text = yaml.safe_dump(tree, allow_unicode=True)
    content = text.encode("utf-8", "surrogatepass")
    assert_located(problems(folder, content), content)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(VALID)), st.integers(0, 6), st.sampled_from(WRONG_BYTES))
def test_a_valid_definition_with_a_wrong_byte(folder: Path, start: int, length: int, new: str) -> None:
    text = VALID[:start] + new + VALID[start + length :]
    assert_located(problems(folder, text.encode()), text.encode())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(TREES)
def test_any_tree(folder: Path, tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)
    content = text.encode("utf-8", "surrogatepass")
    assert_located(problems(folder, content), content)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_bytes(folder: Path, content: bytes) -> None:
    found = problems(folder, content)
    assert found
    assert_located(found, content)


def test_the_valid_definition_is_valid(folder: Path) -> None:
    assert [str(problem) for problem in problems(folder, VALID.encode())] == []
