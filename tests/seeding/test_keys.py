from __future__ import annotations

from typing import Any

import pytest

from envctl.seeding import Endpoint
from envctl.seeding.keys import _commands, _number
from tests.builders import step_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", [("SET", "k", b"text")]),
        ("", [("SET", "k", b"")]),
        (1.5, [("SET", "k", b"1.5")]),
        (True, [("SET", "k", b"true")]),
        ({"$base64": "AP8="}, [("SET", "k", b"\0\xff")]),
        ({"string": {"a": [1]}, "ttl": "90s"}, [("SET", "k", b'{"a": [1]}', "PX", "90000")]),
        ({"string": {"$base64": "AP8="}}, [("SET", "k", b"\0\xff")]),
        (["a", 2], [("DEL", "k"), ("RPUSH", "k", b"a", b"2")]),
        ({"a": 1, "b": "x"}, [("DEL", "k"), ("HSET", "k", b"a", b"1", b"b", b"x")]),
        ({"hash": {"list": [1]}}, [("DEL", "k"), ("HSET", "k", b"list", b"[1]")]),
        ({"set": ["a", "b"], "ttl": "1m"}, [("DEL", "k"), ("SADD", "k", b"a", b"b"), ("PEXPIRE", "k", "60000")]),
        ({"sorted_set": {"a": 1, "b": 2.5}}, [("DEL", "k"), ("ZADD", "k", "1", b"a", "2.5", b"b")]),
        ({"set": ["a"], "other": 1}, [("DEL", "k"), ("HSET", "k", b"set", b'["a"]', b"other", b"1")]),
    ],
)
def test_each_type_has_its_commands(value: Any, expected: list[tuple[Any, ...]]) -> None:
    assert list(_commands("k", value)) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the value is missing"),
        ([], "at least one item"),
        ({}, "at least one field"),
        ({"set": "a"}, "at least one item"),
        ({"sorted_set": {"a": "b"}}, "the score of 'a' is not a number"),
        ({"sorted_set": ["a"]}, "a map of members to scores"),
        ({"string": "x", "ttl": "soon"}, "soon"),
        ({"string": "x", "ttl": "0s"}, "a `ttl` of 0"),
        ({"string": {"$base64": "%"}}, "base64"),
        ("\ud800", "surrogates"),
    ],
)
def test_what_is_no_value_is_said(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(_commands("k", value))


@pytest.mark.parametrize(("own", "given", "number"), [(0, None, 0), (5, None, 5), (5, "3", 3), (5, "0", 0)])
def test_keys_go_to_where_the_url_leads_unless_the_step_says_otherwise(own: int, given: str | None, number: int) -> None:
    at = Endpoint("127.0.0.1", 6379, {"database": own})
    assert _number(step_of("cache", step={"keys": {"a": 1}, "database": given}), at) == number
