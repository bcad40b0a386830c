"""Tests of `${...}`: which text stays unchanged, what is evaluated, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.expressions import (
    ExpressionError,
    Reference,
    as_text,
    escape,
    evaluate,
    evaluate_tree,
    has_expression,
    references,
    render_text,
    spans,
)
from envctl.definition.yaml_parser import plain_scalar

SCOPE: dict[str, Any] = {
    "db": {"url": "U", "port": 5432, "databases": {"audit": {"url": "AU"}, "a-b": {"url": "AB"}, "items": 3}},
    "orders-db": {"url": "OD"},
    "a": 5,
    "b": 3,
    "3scale": {"url": "S3"},
    "17": {"url": "S17"},
    "self": {"port": 8000, "tags": ["x", "y"]},
    "var": {"pg-17": "x", "n": 3, "on": True, "version": plain_scalar("3.10")},
    "env": {"HOME": "/root"},
}
VALUES = {
    "${db.url}": "U",
    "x${db.port}y": "x5432y",
    "${db.port}": 5432,
    "${ db.port }": 5432,
    "${var.on}": True,
    "is ${var.on}": "is true",
    "${self.tags}": ["x", "y"],
    "all ${self.tags}": 'all ["x", "y"]',
    "${orders-db.url}": "OD",
    "${a-b}": 2,
    "${a - b}": 2,
    "${3scale.url}/${17.url}": "S3/S17",
    "${a + 17}": 22,
    "${1.5-a}": -3.5,
    "${db.databases.audit.url}": "AU",
    '${db.databases["a-b"].url}': "AB",
    "${db.databases.a-b.url}": "AB",
    "${db.databases.items}": 3,
    "${var.pg-17}": "x",
    "v${var.version}": "v3.10",
    "${self.port + 1}": 8001,
    "${self.tags[0]}": "x",
    "${self.tags|length}": 2,
    '${env.NOPE | default("q}")}': "q}",
    "${db.nope is defined}": False,
    '${ {"a": {"b": 1}} }': {"a": {"b": 1}},
    '${[1, 2] | map("string")}': ["1", "2"],
    "${'${'}": "${",
    "$${x}": "${x}",
    "$$${x}": "$${x}",
    "a $HOME $(id) {{ x }} {% if %} {# no #} $$": "a $HOME $(id) {{ x }} {% if %} {# no #} $$",
    "${db.url.lower()}": "u",
    "${db.url | urlencode}": "U",
    "${not a}": False,
    "${a if b else none}": 5,
    "${range(3)}": [0, 1, 2],
    "${'it''s' if false else \"it's\"}": "it's",
}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_values(text: str, value: Any) -> None:
    found = evaluate(text, SCOPE)
    assert found == value
    assert type(found) is type(value)


ERRORS = {
    "${dbb.url}": "'dbb' is not defined; did you mean 'db'?",
    "${db.ulr}": "'db' has no 'ulr'; did you mean 'url'?",
    "${nowhere}": "'nowhere' is not defined; known: 17, 3scale, a, b, db, env, orders-db, self, var",
    "${foo-bar.url}": "'foo-bar' is not defined",
    "${self.port-1}": "a subtraction needs spaces around its `-`",
    "${db.url.x}": "'db.url' has no 'x'",
    "${env.NOPE}": "the environment variable NOPE is not set",
    "${VERSION:-1.0}": '`${env.VERSION | default("1.0")}` is a variable with a default',
    "${VERSION-1.0}": '`${env.VERSION | default("1.0")}` is a variable with a default',
    "${version:?no}": "`${env.version}` alone is an error if version is not set",
    "${VERSION}": "an environment variable is `${env.VERSION}`",
    "${$HOME}": "an environment variable is `${env.HOME}`",
    "${{db.url}}": "an expression has one pair of braces: `${db.url}`",
    "${db.url": "has no closing `}`",
    "${'}": "has no closing `}`",
    "${}": "`${}` is empty",
    "${ }": "`${}` is empty",
    "${db.url +}": "is not a valid expression",
    "${db.url | upcase}": "there is no filter 'upcase'",
    "${db.url is fancy}": "there is no test 'fancy'",
    "${db.url | random}": "there is no filter 'random'",
    "${db.url.upper}": "is a function; call it with `()`",
    "x${none}": "is null here",
    "${1 / 0}": "division by zero",
    "${'a' + 1}": "concatenate",
    "${lipsum()}": "'lipsum' is not defined",
    "${self.tags.append('z')}": "unsafe",
    "${''.__class__.__mro__}": "unsafe",
    "${''|attr('__class__')}": "unsafe",
    "${'{}'.format(1)}": "unsafe",
    "${'x' * 10**9}": "too large",
    "${['x'] * 10**9}": "too large",
    "${9**9**9**9**9**9}": "too large",
    "${10**100000}": "too large",
    "${range(10**9)}": "Range too big",
    "${'x'.center(10**9)}": "too large",
    "${'x'|center(10**9)}": "too large",
    "${'x'|indent(10**9)}": "too large",
    "${'%0999999999d' % 1}": "too large",
    "${'%*d' % (10**6, 1)}": "too large",
    "${('x' * 99999).replace('x', 'y' * 99999)}": "too large",
    "${('x' * 99999).join(range(99999)|map('string'))}": "too large",
    "${range(99999) | map('string') | join('x' * 99999)}": "too large",
    "${" + "(" * 5000 + "1" + ")" * 5000 + "}": "nested too deeply",
    "${" + "+".join("1" * 9000) + "}": "nested too deeply",
    "${" + "-" * 5000 + "1}": "nested too deeply",
    "${" + "[" * 5000 + "]" * 5000 + "}": "nested too deeply",
    "${" + "x" * 30000 + "|abs}": "too long",
}


@pytest.mark.parametrize(("text", "message"), ERRORS.items(), ids=lambda text: text[:40])
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, SCOPE)
    assert message in str(caught.value)


def test_an_error_in_a_tree_carries_its_path() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_tree({"a": ["x", {"b": "${nope}"}]}, SCOPE)
    assert caught.value.path == ("a", 1, "b")


def test_a_tree_keeps_its_keys_and_types() -> None:
    tree = {"${db.url}": ["${db.port}", 1, None, True, ("${a}",)]}
    assert evaluate_tree(tree, SCOPE) == {"${db.url}": [5432, 1, None, True, [5]]}


REFERENCES = {
    "${db.url}": [("db", ("url",))],
    "x${orders-db.url}y${self.port}": [("orders-db", ("url",)), ("self", ("port",))],
    '${db.databases["audit"].url | urlencode}': [("db", ("databases", "audit", "url"))],
    "${db.databases[var.name].url}": [("db", ("databases",)), ("var", ("name",))],
    "${self.tags[0] ~ db.port}": [("self", ("tags", "0")), ("db", ("port",))],
    "${var.pg-17}": [("var", ("pg-17",))],
    "${un-known.url}": [("un-known", ("url",))],
    "${a-b}": [("a", ()), ("b", ())],
    "${range(3)} $${x}": [],
    "${dict(a=db.url)}": [("db", ("url",))],
    "plain": [],
}


@pytest.mark.parametrize(("text", "found"), REFERENCES.items())
def test_references(text: str, found: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(ref.root, ref.path) for ref in references(text, SCOPE)] == found


def test_what_is_asked_for_its_existence_is_optional() -> None:
    assert references('${db.x | default("y")}', SCOPE) == [Reference("db", ("x",), 'db.x | default("y")', optional=True)]
    assert [ref.optional for ref in references("${db.x is defined and a}", SCOPE)] == [True, False]


def test_where_expressions_stand() -> None:
    text = "a ${db.url} $${no} ${ {'}': 1} }"
    assert [text[start:end] for start, end in spans(text)] == ["${db.url}", "${ {'}': 1} }"]
    assert has_expression(text)
    assert not has_expression("$${no} $x {{x}}")


def test_a_whole_text() -> None:
    template = "{# stays #}\n{% for tag in self.tags %}\n  tag ${tag} $${x}\n{% endfor %}\nend ${ {'a': 1}.a }\n"
    assert render_text(template, SCOPE) == "{# stays #}\n  tag x ${x}\n  tag y ${x}\nend 1\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n${self.x}", "has no 'x'; known: port, tags"),
        ("\n{% if a %}", "line 2 of the text"),
        ("${a|foo}", "No filter named 'foo'"),
        ("${nope}", "'nope' is not defined"),
        ("{% for i in range(10**9) %}{% endfor %}", "Range too big"),
    ],
)
def test_a_wrong_text(template: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render_text(template, SCOPE)
    assert message in str(caught.value)


PLAIN = st.text().filter(lambda text: "${" not in text)
SOUND = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SOUND,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SOUND, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_text_without_expressions_stays(text: str) -> None:
    assert evaluate(text, {}) == text
    assert evaluate_tree([text], {}) == [text]


@given(st.text(alphabet=st.sampled_from("$${}ax \n\"'")) | st.text())
def test_an_escaped_text_is_itself(text: str) -> None:
    assert evaluate(escape(text), {}) == text


@given(JSON)
def test_one_expression_keeps_its_type(value: Any) -> None:
    found = evaluate("${x.value}", {"x": {"value": value}})
    assert found is value
    computed = evaluate("${[x.value][0]}", {"x": {"value": value}})
    assert json.dumps(computed) == json.dumps(value)


@given(PLAIN.filter(lambda text: not text.endswith("$")), st.text(), PLAIN)
def test_everything_around_an_expression_stays(before: str, value: str, after: str) -> None:
    assert evaluate(f"{before}${{x}}{after}", {"x": value}) == before + value + after


@given(JSON.filter(lambda value: value is not None))
def test_every_value_has_a_text(value: Any) -> None:
    assert isinstance(as_text(value), str)


@given(st.text(alphabet=st.sampled_from("${}()[]'\"\\ab.-|+*19 ,:%~\n")) | st.text())
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    for one in ("${" + text + "}", text):
        for call in (evaluate, references):
            with suppress(ExpressionError):
                call(one, SCOPE)
