"""Starting a local process: a child with a session of its own, that dies with the thread that started it.

Fork and exec by hand: the supervisor has one thread only, and like this every step can say why it failed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from envctl.keeper import system
from envctl.keeper.limits import Limits


class CannotStart(Exception):
    """In words for whoever asked for it."""


def start(argv: Sequence[str], env: Mapping[str, str], cwd: str, user: int | None, limits: Limits) -> tuple[int, int]:
    """The process, and the reading end of its output.

    Raises:
        CannotStart: one of the steps failed; nothing is left of it.
    """
    output, theirs = os.pipe()
    report, failure = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(argv, env, cwd, user, limits, parent, theirs, failure)
    os.close(theirs)
    os.close(failure)
    with open(report, "rb") as stream:
        words = stream.read()  # ends when the program takes over, as no descriptor but the standard ones outlives that
    if words:
        os.close(output)
        os.waitpid(pid, 0)
        raise CannotStart(words.decode(errors="replace"))
    return pid, output


def _become(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, user: int | None, limits: Limits, parent: int, output: int, failure: int
) -> None:
    step = ""
    try:
        steps: list[tuple[str, Callable[[], object]]] = [
            ("session", lambda: _leave(output)),
            ("limits", limits.enter),
            (f"user {user}", lambda: _change_to(user)),
            ("parent", lambda: _stay_with(parent)),
            (f"cwd {cwd}", lambda: os.chdir(cwd)),
            ("limits", limits.confine),
            (f"program {argv[0]}", lambda: os.execvpe(argv[0], list(argv), dict(env))),
        ]
        for name, do in steps:
            step = name
            do()
    except BaseException as error:
        os.write(failure, f"{step}: {_words(error, step)}".encode(errors="replace")[:4000])
    finally:
        os._exit(127)


def _leave(output: int) -> None:
    os.setsid()
    _defaults()
    _standard_streams(output)


def _change_to(user: int | None) -> None:
    if user is not None:
        with suppress(OSError):  # else it could not open /dev/stdout, as servers do whose log it is
            os.fchown(1, user, user)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def _stay_with(parent: int) -> None:
    system.die_with_parent()
    if os.getppid() != parent:
        os._exit(0)


def _words(error: BaseException, step: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such folder" if step.startswith("cwd") else "no such program (or a script whose interpreter is missing)"
    if isinstance(error, PermissionError):
        return "no permission"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _defaults() -> None:
    """What is ignored here would be ignored by the program too (nohup, and Python's SIGPIPE)."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # of the C library's own
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _standard_streams(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
