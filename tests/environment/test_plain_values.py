"""Property tests of the fast check of values: it accepts no value that the JSON Schema library would reject."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, SchemaError

from envctl.definition.kinds import load_kinds
from envctl.environment.plain_values import plainly_fits

TEXTS = st.sampled_from(["", "a", "bb", "a b", "${x}", "declared"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "text", 1])
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, max_size=3),
            "enum": st.lists(TEXTS, max_size=3) | st.just("a"),
            "minLength": st.integers(-1, 2),
            "maxLength": st.integers(-1, 2) | st.booleans(),
            "minimum": st.integers(-1, 2) | st.just("1"),
            "maximum": st.floats(-1, 2),
            "pattern": st.sampled_from(["^a", "b$"]),
            "description": TEXTS | st.just(1),
            "const": st.integers(0, 1),
            "x-empty": TEXTS,
        },
    )
    | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object") | st.just("array") | st.just(["object", "array"])},
        optional={
            "items": inner,
            "properties": st.dictionaries(TEXTS, inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(TEXTS, max_size=2),
        },
    ),
    max_leaves=4,
)


@given(SCHEMAS, VALUES)
def test_what_fits_plainly_fits(schema: Any, value: Any) -> None:
    if plainly_fits(schema, value):
        Draft202012Validator.check_schema(schema)
        assert list(Draft202012Validator(schema).iter_errors(value)) == []


@given(VALUES)
def test_a_wrong_schema_is_never_plain(value: Any) -> None:
    wrongs: list[Any] = [{"type": "text"}, {"items": 1}, {"properties": {"a": {"minLength": "1"}}}, {"required": ["a", "a"]}, {"type": []}]
    for wrong in wrongs:
        with pytest.raises(SchemaError):
            Draft202012Validator.check_schema(wrong)
        assert not plainly_fits(wrong, value)


def test_formats_and_patterns_that_cannot_be_read_are_left_to_others() -> None:
    assert not plainly_fits({"type": "string", "format": "declared-users"}, "anna")
    assert not plainly_fits({"type": "string", "pattern": "(?=a)"}, "a")
    assert plainly_fits({"type": ["string", "null"], "format": "declared-users"}, None)


def test_what_is_usual_is_plain() -> None:
    kinds = load_kinds()
    postgres, redis = kinds["postgres"], kinds["redis"]
    assert plainly_fits(postgres.parameters["username"], "shop")
    assert not plainly_fits(postgres.parameters["username"], "sh'op")
    assert plainly_fits(postgres.parameters["settings"], {"max_connections": 300, "log_statement": "all"})
    assert plainly_fits(redis.parameters["database"], 3)
    assert not plainly_fits(redis.parameters["database"], 300)


def test_a_definition_without_mistakes_needs_no_library_for_them(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from envctl.environment import open_environment
folder = Path(sys.argv[1])
(folder / "a.yaml").write_text("name: a\\nservices: {db: {kind: postgres, with: {username: shop, databases: [shop]}}}\\n")
open_environment("a.yaml", cwd=folder, environ={})
assert not {"jsonschema", "referencing"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
