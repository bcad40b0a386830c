"""Run the command line. Each command reads its options, calls one function and prints the result; errors are printed only here."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from envctl.errors import CommandMissing, EnvctlError, Interrupted

if TYPE_CHECKING:
    from envctl.session import Session

OURS = 125
"""The exit code of `run`, `test` and `exec` for failures of envctl itself; other exit codes come from the command that they run."""
WRAPPING = ("run", "test", "exec")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run envctl with *arguments*, by default those of the process, and end the process with the command's exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    from envctl.process import signals, terminal

    status: int | None = None
    try:
        signals.install()
        terminal.protect()
        status = _run(words)
        signals.leave(status)
    except KeyboardInterrupt:  # The interrupt came between two of these lines.
        signals.leave(_interrupted() if status is None else status)


def _run(words: list[str]) -> int:
    from envctl.process import signals
    from envctl.process.terminal import Unread
    from envctl.session import Session

    wraps = next((word for word in words if not word.startswith("-")), "") in WRAPPING
    try:
        session = Session.here()
    except EnvctlError as error:
        from envctl.cli.printing import print_error
        from envctl.session.mask import Mask

        print_error(error, Mask())
        return OURS if wraps else error.exit_code
    try:
        _recover(session, words)
        if words[:1] == ["down"] and len(words) == 2 and not words[1].startswith("-"):
            from envctl.cli.down import down_named

            return down_named(session, words[1])
        from envctl.cli.ahead import begun_ahead

        with begun_ahead(session, words):
            from envctl.cli.app import invoke

            return invoke(session, words, OURS if wraps else 2)
    except EnvctlError as error:
        from envctl.cli.printing import print_error

        print_error(error, session.mask, session.environ)
        return OURS if wraps and not isinstance(error, Interrupted | CommandMissing) else error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except Unread:
        return 141
    except Exception as error:
        if signals.asked():
            return _interrupted()
        return _unexpected(error, OURS if wraps else EnvctlError.exit_code)


def _recover(session: Session, words: list[str]) -> None:
    """Recover instances whose keeper or command was killed. A keeper's own commands skip this: a keeper manages only its own instance."""
    if words and not {"--help", "-h", "--version"} & set(words) and not session.by_keeper and session.store.has_any():
        from envctl.lifecycle.recovery import recover_instances

        recover_instances(session, words if "down" in words else ())


def _unexpected(error: Exception, status: int) -> int:
    """Print *error* without its traceback, and return *status*. If ENVCTL_DEBUG is set, raise *error* instead."""
    if os.environ.get("ENVCTL_DEBUG"):
        raise error
    words, advice = f"{type(error).__name__}: {error}", "this is a bug in envctl; ENVCTL_DEBUG=1 shows where it happened"
    if isinstance(error, OSError) and error.strerror:
        words = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = (
            "the disk is full"
            if full
            else "the operating system refused it: check the permissions and what is at that path; ENVCTL_DEBUG=1 shows more"
        )
    from envctl.process.terminal import tell

    tell(f"envctl: {words}", f"  {advice}")
    return status


def _interrupted() -> int:
    print("envctl: interrupted", file=sys.stderr)
    return Interrupted.exit_code
