"""A command of the tests: started with the outputs in its environment, watched, and stopped with all that it has started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envctl.errors import EnvctlError, UsageError
from envctl.keeper import marks
from envctl.process.signals import shielded

COMMAND = "#command"
"""Its name in its mark."""
POLL_SECONDS = 0.5
"""Between two looks at the keeper."""


def run_command(command: Sequence[str], environ: Mapping[str, str], folder: Path | None, lost: Callable[[], bool] = lambda: False) -> int:
    """Its exit status, 128 + n when signal n ended it; *lost* is asked now and then whether it makes sense to go on.

    Raises:
        UsageError: it cannot be started.
        EnvctlError: the environment was lost.
    """
    try:
        process = subprocess.Popen(command, env=environ, cwd=folder, close_fds=True)
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        status = _ended(process, environ, lost)
    except KeyboardInterrupt:
        _stop(process, environ)
        raise
    return status if status >= 0 else 128 - status


def marked(environ: Mapping[str, str], id: str) -> dict[str, str]:
    """*environ* with the mark by which the keeper finds the command and what it has started, should we be killed."""
    return {**environ, marks.MARK: id, marks.PROCESS: COMMAND}


def with_ourselves(path: str) -> str:
    """PATH for tests that call `envctl restart`: it is found though its virtual environment is not active."""
    return path if shutil.which("envctl", path=path) else os.pathsep.join([path, str(Path(sys.executable).parent)])


def _ended(process: subprocess.Popen[bytes], environ: Mapping[str, str], lost: Callable[[], bool]) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(POLL_SECONDS)
        if lost():
            _stop(process, environ)
            raise EnvctlError("the keeper of the environment has ended, so nothing holds it any more; the command was stopped")


def _stop(process: subprocess.Popen[bytes], environ: Mapping[str, str]) -> None:
    """Politely, then firmly, then for certain; then what it has left behind. (On a terminal Ctrl-C has reached it already.)"""
    with shielded():
        for number, patience in ((None, 2.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if number is not None:
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        marks.kill_marked(environ[marks.MARK], process=COMMAND)
