"""Tests of running programs for their output, started in advance or on demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envctl.process.answers import Answers, Question
from tests.processes import running, until

COUNTING = "import os, sys; open('runs', 'a').write('x'); print(os.environ['WORD']); print('said', file=sys.stderr); sys.exit(3)"


def question(folder: Path, word: str = "a") -> Question:
    return Question.to([sys.executable, "-c", COUNTING], folder, {"WORD": word})


@pytest.fixture
def answers() -> Answers:
    return Answers()


def test_what_is_begun_is_not_begun_again(answers: Answers, tmp_path: Path) -> None:
    answers.begin(question(tmp_path))
    done = answers.ask(question(tmp_path), 30)
    assert (done.stdout, done.stderr, done.returncode) == ("a\n", "said\n", 3)
    assert (tmp_path / "runs").read_text() == "x"
    assert answers.ask(question(tmp_path), 30).stdout == "a\n"
    assert (tmp_path / "runs").read_text() == "xx", "an answer is given once: what was asked about may have changed since"


def test_another_question_is_asked_anew(answers: Answers, tmp_path: Path) -> None:
    answers.begin(question(tmp_path))
    assert answers.ask(question(tmp_path, "b"), 30).stdout == "b\n"
    assert answers.ask(question(tmp_path), 30).stdout == "a\n"
    assert (tmp_path / "runs").read_text() == "xx"


def test_what_nobody_asks_for_is_ended_with_all_that_it_started(answers: Answers, tmp_path: Path) -> None:
    noted = tmp_path / "number"
    answers.begin(
        Question.to(["sh", "-c", f"sleep 600 & echo $! > {noted}.new; mv {noted}.new {noted}; wait"], tmp_path, {"PATH": "/usr/bin:/bin"})
    )
    until(noted.exists)
    answers.end()
    until(lambda: not running(int(noted.read_text())))
    answers.end()


def test_what_does_not_end_is_ended(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        answers.ask(Question.to(["sleep", "600"], tmp_path, {"PATH": "/usr/bin:/bin"}), 0.01)


def test_what_is_not_there_cannot_be_asked(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        answers.begin(Question.to(["/no-such-program"], tmp_path, {}))
    answers.end()
