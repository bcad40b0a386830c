from __future__ import annotations

from pathlib import Path

import pytest

from envctl import errors
from envctl.errors import DefinitionError, EnvctlError, Problem, did_you_mean

EXIT_CODES = {
    "EnvctlError": 1,
    "DefinitionError": 2,
    "UsageError": 2,
    "CommandMissing": 127,
    "EngineMissing": 3,
    "ServiceFailed": 1,
    "OutOfTime": 124,
    "Interrupted": 130,
}


def test_every_error_has_its_exit_code() -> None:
    found = {name: error.exit_code for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, EnvctlError)}
    assert found == EXIT_CODES


@pytest.mark.parametrize("name", EXIT_CODES)
def test_the_tree_that_is_drawn_is_the_tree(name: str) -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if name in line.split())
    assert str(EXIT_CODES[name]) in line.split()


def test_an_error_is_its_message_and_what_would_help() -> None:
    assert str(EnvctlError("no", hint="yes")) == "no\n  yes"
    assert str(EnvctlError("no")) == "no"


@pytest.mark.parametrize(
    ("path", "hint", "text"),
    [
        ("services.db", "did you mean 'x'?", "/e.yaml:3: services.db: wrong; did you mean 'x'?"),
        ("services.db", "", "/e.yaml:3: services.db: wrong"),
        ("", "", "/e.yaml:3: wrong"),
    ],
)
def test_a_problem_says_where(path: str, hint: str, text: str) -> None:
    assert str(Problem(Path("/e.yaml"), 3, path, "wrong", hint)) == text


def test_problems_stand_in_the_order_of_their_lines_and_once() -> None:
    first, second = Problem(Path("/e"), 3, "b", "x"), Problem(Path("/e"), 20, "a", "x")
    error = DefinitionError([second, first, second])
    assert error.problems == [first, second]
    assert str(error) == "/e:3: b: x\n/e:20: a: x"


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("databse", ["database", "user"], "did you mean 'database'?"),
        ("x", ["b", "a"], "known: a, b"),
        ("x", [], ""),
        ("x", [f"name{n:02}" for n in range(14)], "known: " + ", ".join(f"name{n:02}" for n in range(12)) + ", ..."),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(word: str, known: list[str], hint: str) -> None:
    assert did_you_mean(word, known) == hint
