"""Programs that are asked something: at once, or begun before anybody needs the answer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Question(NamedTuple):
    """A program that answers on its outputs, its folder, and all of its variables."""

    command: tuple[str, ...]
    folder: Path
    environ: tuple[tuple[str, str], ...]

    @classmethod
    def to(cls, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Question:
        return cls(tuple(command), folder, tuple(sorted(environ.items())))


class Answers:
    """Those of one session; one that was begun is for who first asks exactly the same."""

    def __init__(self) -> None:
        self._begun: dict[Question, subprocess.Popen[str]] = {}

    def begin(self, question: Question) -> None:
        """Somebody is going to ask this.

        Raises:
            OSError: the program cannot be started.
        """
        self._begun[question] = _started(question)

    def ask(self, question: Question, patience: float) -> subprocess.CompletedProcess[str]:
        """
        Args:
            patience: seconds, after which the program is ended with all that it has started.

        Raises:
            OSError: the program cannot be started.
            subprocess.TimeoutExpired: it does not end.
        """
        with self._begun.pop(question, None) or _started(question) as process:
            try:
                out, err = process.communicate(timeout=patience)
            except BaseException:
                _kill(process)
                raise
        return subprocess.CompletedProcess(question.command, process.returncode, out, err)

    def end(self) -> None:
        """What nobody has asked for is not needed any more."""
        while self._begun:
            _, process = self._begun.popitem()
            with process:
                _kill(process)


def _started(question: Question) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        question.command, cwd=question.folder, env=dict(question.environ), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip


def _kill(process: subprocess.Popen[str]) -> None:
    """It, and what it starts: Docker's command line leaves its plugin behind when it is killed.

    (macOS refuses a signal to a group of which nobody lives but zombies.)
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
