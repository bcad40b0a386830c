"""Run programs for their output: immediately, or in advance, before the output is needed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Question(NamedTuple):
    """A program that is run for its output, with its working folder and all of its environment variables."""

    command: tuple[str, ...]
    folder: Path
    environ: tuple[tuple[str, str], ...]

    @classmethod
    def to(cls, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Question:
        """Create a question; the order of the variables in *environ* makes no difference."""
        return cls(tuple(command), folder, tuple(sorted(environ.items())))


class Answers:
    """The programs that one session runs. A program that was started in advance serves the first equal question."""

    def __init__(self) -> None:
        self._begun: dict[Question, subprocess.Popen[str]] = {}

    def begin(self, question: Question) -> None:
        """Start the program in advance; a later `ask` with the same question waits for it.

        Raises:
            OSError: the program cannot be started.
        """
        self._begun[question] = _started(question)

    def ask(self, question: Question, patience: float) -> subprocess.CompletedProcess[str]:
        """Return the exit code and the output of the program, which is started unless `begin` has started it.

        Args:
            patience: the seconds to wait before the program and everything that it started are killed.

        Raises:
            OSError: the program cannot be started.
            subprocess.TimeoutExpired: the program does not end within *patience*.
        """
        with self._begun.pop(question, None) or _started(question) as process:
            try:
                out, err = process.communicate(timeout=patience)
            except BaseException:
                _kill(process)
                raise
        return subprocess.CompletedProcess(question.command, process.returncode, out, err)

    def end(self) -> None:
        """Kill the programs that were started in advance and never asked for."""
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
    """Kill the process and its group: Docker's command line leaves its plugin behind if only the command line is killed.

    macOS raises PermissionError if a group contains only zombies.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
