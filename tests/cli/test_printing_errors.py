from __future__ import annotations

from pathlib import Path

import pytest

from envctl.cli.printing import describe, print_error
from envctl.errors import DefinitionError, EngineMissing, EnvctlError, Evidence, OutOfTime, Problem, ServiceFailed, UsageError
from envctl.session.mask import Mask


def text_of(error: EnvctlError) -> str:
    return "\n".join(describe(error, Mask()))


def test_mistakes_are_counted() -> None:
    one, two = Problem(Path("/e"), 1, "a", "x"), Problem(Path("/e"), 2, "b", "y")
    assert text_of(DefinitionError([one])) == "/e:1: a: x\nenvctl: 1 mistake; nothing was started"
    assert text_of(DefinitionError([two, one])) == "/e:1: a: x\n/e:2: b: y\nenvctl: 2 mistakes; nothing was started"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("no"), "envctl: no"),
        (UsageError("no", hint="yes"), "envctl: no\n  yes"),
        (EngineMissing("no Docker", hint="start it"), "envctl: no Docker\n  start it"),
        (ServiceFailed("it failed"), "envctl: it failed"),
    ],
)
def test_a_sentence_and_what_would_help(error: EnvctlError, text: str) -> None:
    assert text_of(error) == text


def test_evidence_stands_in_the_order_of_the_questions() -> None:
    evidence = Evidence("db", "start", ("  0.02 s  refused", "  0.50 s  starting"), 1, ("one", "two"), "look")
    assert text_of(OutOfTime("db ended with 1", evidence, hint="hint")) == (
        "envctl: db ended with 1\n"
        "  service    db\n"
        "  step       start\n"
        "  probe        0.02 s  refused\n"
        "  probe        0.50 s  starting\n"
        "  exit code  1\n"
        "  last 2 lines:\n"
        "    one\n"
        "    two\n"
        "  try        look\n"
        "  hint"
    )


@pytest.mark.parametrize(("step", "silent"), [("start", True), ("pull", False), ("build", False)])
def test_a_service_that_printed_nothing(step: str, silent: bool) -> None:
    assert ("it printed nothing" in text_of(ServiceFailed("x", Evidence("db", step)))) is silent


def test_an_exit_code_of_nothing_is_an_exit_code() -> None:
    assert "exit code  0" in text_of(ServiceFailed("x", Evidence("db", "start", exit_status=0)))


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    mask = Mask()
    mask.add(["secret", "secret word", "abc"])
    print_error(ServiceFailed("a secret word", Evidence("db", "start", logs=("the secret abc",)), hint="secrets"), mask)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[0] == "envctl: a ***"
    assert "    the *** abc" in shown.err.splitlines()
    assert shown.err.splitlines()[-1] == "  secrets", "a word is not torn"
