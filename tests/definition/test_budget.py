"""Tests of the common limit of all expressions of a definition, and of the types that a result may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition import budget
from envctl.definition.budget import Budget, OutOfBudget
from envctl.definition.expressions import ExpressionError, evaluate, render_text
from envctl.definition.load import load
from envctl.errors import DefinitionError

LONG = "x" * 900


def spend(texts: list[str], **values: Any) -> Budget:
    spent = Budget()
    for text in texts:
        evaluate(text, {**values, budget.KEY: spent})
    return spent


@pytest.mark.parametrize("text", ["${a}${a}", "${a ~ a}", "${a + a}", "${a * 2}", "${a | replace('x', 'yy')}", "${[a, a] | join}"])
def test_every_way_to_make_characters_is_counted(text: str) -> None:
    assert spend([text], a=LONG).characters >= 2 * len(LONG)


@pytest.mark.parametrize(
    "text",
    [
        "${range(90000) | map('string') | list | length}",
        "${range(90000) | select('in', range(90000) | list) | list}",
        "${(a == a) and (a in a) and (a[1:] == a)}",
    ],
)
def test_every_way_to_take_steps_is_counted(text: str) -> None:
    nearly = Budget(steps=budget.MAX_STEPS - 2000)
    with pytest.raises(OutOfBudget, match="steps"):
        evaluate(text, {"a": LONG * 900, budget.KEY: nearly})


def test_all_values_of_a_definition_share_one_budget(tmp_path: Path) -> None:
    def one(number: int) -> str:
        return f"${{var.v{number}}}"

    variables = "".join(f'  v{n}: "{one(n - 1) * 10}"\n' for n in range(1, 5))
    env = "".join(f"      A{n}: ${{var.v4}}\n" for n in range(100))
    (tmp_path / "e.yaml").write_text(
        f"name: e\nvariables:\n  v0: xxxxxxxxxx\n{variables}services:\n  a:\n    image: x\n    env:\n{env}", "utf-8"
    )
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path / "e.yaml", project=tmp_path, environ={})
    assert len(caught.value.problems) == 1
    assert "the values of this definition have more than 10,000,000 characters" in str(caught.value)
    assert ": services.a.env.A" in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) if false %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}${f(n - 1)}${f(n - 1)}{% endif %}{% endmacro %}${f(40)}",
        "{% for a in range(99999) %}" + "y" * 500 + "{% endfor %}",
        "{% set x %}{% for a in range(99999) %}" + "y" * 500 + "{% endfor %}{% endset %}",
    ],
)
def test_a_text_with_loops_and_macros_ends(template: str) -> None:
    with pytest.raises(OutOfBudget):
        render_text(template, {budget.KEY: Budget(budget.MAX_CHARACTERS - 100_000, budget.MAX_STEPS - 100_000)})


def test_loops_and_macros_work() -> None:
    template = "{% macro f(n) %}<${n}>{% endmacro %}{% for a in [1, 2] %}${loop.index}${f(a)}{% if not loop.last %},{% endif %}{% endfor %}"
    assert render_text(template, {}) == "1<1>,2<2>"
    assert evaluate("${dict(a=8080, b=8081)}", {}) == {"a": 8080, "b": 8081}
    assert evaluate("${range(8000, 8002)}", {}) == [8000, 8001]


NO_VALUES = {
    "${'x' if false}": "there is no `else`",
    "${'' ~ ('x' if false)}": "there is no `else`",
    "${[{}] | map(attribute='nope')}": "has no 'nope'",
    "${[{}] | map(attribute='nope') | list | string}": "has no 'nope'",
    "${'%s' % [{}.nope]}": "has no 'nope'",
    "${['a'.upper]}": "a function; call it",
    "${'' ~ 'a'.upper}": "a function; call it",
    "${'a'.upper | string}": "a function; call it",
    "${'' ~ [['a'] | map('upper')]}": "add `| list`",
    "${'a'.encode()}": "bytes are not a value",
    "${ {1: 2} }": "the key 1 of a map is not text",
    "${'\\0'}": "NUL",
    "${'a\\ud800'}": "U+D800 is half of a surrogate pair",
    "${10.0 ** 308 * 10}": "not a finite number",
    "${9007199254740993 / 1}": "too many digits for a fraction",
    "${10 ** (10 ** 10)}": "too large",
    "${1 | round(10 ** 9, 'floor')}": "too large",
    "${([['x']] * 9000) | sum(start=[])}": "too large",
}


@pytest.mark.parametrize(("text", "message"), NO_VALUES.items())
def test_what_is_no_value(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, {})
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["${loop}", "${'a'.upper}", "${['a'] | map('upper')}", "${'x' if false}"])
def test_what_no_text_prints(text: str) -> None:
    with pytest.raises(ExpressionError):
        render_text("{% for i in [1] %}" + text + "{% endfor %}", {})


def test_what_comes_piece_by_piece_becomes_a_list() -> None:
    assert evaluate("${[['a'] | map('upper'), {'k': range(2)}]}", {}) == [["A"], {"k": [0, 1]}]


def test_a_number_is_as_it_is_written() -> None:
    assert evaluate("v${3.10}", {}) == "v3.10"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: e\nservices:\n  a:\n    image: "x\\0y"\n', "e.yaml:4: a NUL character"),
        (
            'name: e\nservices:\n  a:\n    image: x\n    env: {"A\\a": x}\n',
            "e.yaml:5: the key 'A\\x07' contains the control character U+0007",
        ),
        ("name: e\nx-a: &a " + "y" * 99_999 + "\nx-b: [" + "*a, " * 60 + "]\n", "e.yaml:2: the aliases in this file expand to more"),
    ],
)
def test_what_a_file_may_not_hold(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(text, "utf-8")
    found = load(tmp_path / "e.yaml", project=tmp_path, environ={}).problems
    assert message in " ".join(map(str, found))


def test_too_many_services(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("name: e\nservices:\n" + "".join(f"  s{n}: {{image: x}}\n" for n in range(2001)), "utf-8")
    with pytest.raises(DefinitionError, match="there are 2,001 services, and at most 2,000 are allowed"):
        load(tmp_path / "e.yaml", project=tmp_path, environ={})


def test_a_slice_of_a_number_is_an_error_and_no_warning() -> None:
    with pytest.raises(ExpressionError, match="not subscriptable"):
        evaluate("${10[1:]}", {})
