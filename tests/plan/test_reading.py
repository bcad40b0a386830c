from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.expressions import ExpressionError, escape
from envctl.definition.models import Command
from envctl.plan.reading import argv, split

SCOPE = {"x": "a 'b' \"c\" \\ $d", "n": 8000, "yes": True, "no": False, "m": {"key with blanks": "v"}}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (None, []),
        ("", []),
        ("a b  c", ["a", "b", "c"]),
        ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
        ("echo ${x}", ["echo", SCOPE["x"]]),
        ("--x=${x} '${x}' \"-${x}-\"", [f"--x={SCOPE['x']}", SCOPE["x"], f"-{SCOPE['x']}-"]),
        ("--port ${n} ${yes} ${no}", ["--port", "8000", "true", "false"]),
        ("${m['key with blanks']} ${ x ~ ' and ' ~ n }", ["v", f"{SCOPE['x']} and 8000"]),
        ("a$b `c` $(d) | e > f; g # h", ["a$b", "`c`", "$(d)", "|", "e", ">", "f;", "g", "#", "h"]),
        ("echo $${x}", ["echo", "${x}"]),
        (" ".join(f"${{{'n'}}}{number}" for number in range(12)), [f"8000{number}" for number in range(12)]),
        (["a b", "${x}", "${n}", "'q'"], ["a b", SCOPE["x"], "8000", "'q'"]),
    ],
)
def test_arguments(command: Command | None, expected: list[str]) -> None:
    assert argv(command, SCOPE) == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ue000\ue001"))))
def test_what_a_shell_quotes_comes_back(words: list[str]) -> None:
    assert argv(escape(shlex.join(words)), {}) == words


@given(st.text())
def test_a_value_is_one_argument_whatever_it_holds(value: str) -> None:
    assert argv("a ${x} b-${x}", {"x": value}) == ["a", value, f"b-{value}"]


def test_words_keep_their_expressions() -> None:
    assert split("run ${a | join(' ')} '${b}'-c") == ["run", "${a | join(' ')}", "${b}-c"]


@pytest.mark.parametrize(("command", "words"), [("echo 'a", "No closing quotation"), ("echo ${x", "no closing `}`")])
def test_quoting_that_does_not_close(command: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        argv(command, SCOPE)


def test_a_command_is_no_longer_than_the_machine_takes() -> None:
    with pytest.raises(ExpressionError, match="more than 100,000 characters"):
        argv("x " * 60_000, {})
