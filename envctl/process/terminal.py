"""What goes to stdout and stderr. Nobody may be listening, and the disk behind them may be full: that ends no command halfway."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from envctl.errors import EnvctlError
from envctl.errors.harmless import harmless


class Unread(Exception):
    """Whoever read stdout has gone (`| head -1`): there is nothing to say and nobody to say it to."""


class _Unfailing:
    """stderr, as everybody who writes there sees it: what cannot be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _silence(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _silence(self._stream)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def protect() -> None:
    """At the start of a command: what is closed is opened to nowhere, lest a file of ours gets its number; stderr never fails."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = _Unfailing(sys.stderr or open(2, "w", closefd=False))  # noqa: SIM115
    # Names of files and values of variables that are no UTF-8 come out as they came in.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")


def tell(*lines: str) -> None:
    """To people, on stderr: each of *lines* is one line, whatever it holds."""
    print("\n".join(map(harmless, lines)), file=sys.stderr, flush=True)


def show(*lines: str) -> None:
    """The result of a command, on stdout, for people: each of *lines* is one line, whatever it holds.

    Raises:
        EnvctlError, Unread: as `give`.
    """
    encoding = sys.stdout.encoding or "utf-8"
    give("".join(f"{harmless(line)}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding))


def give(text: str) -> None:
    """The result of a command, on stdout, for programs: as it is.

    Raises:
        EnvctlError: it cannot be written.
        Unread: nobody reads it any more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        raise Unread from None
    except (OSError, UnicodeEncodeError) as error:
        _silence(sys.stdout)
        hint = "" if isinstance(error, OSError) else "PYTHONUTF8=1 makes it UTF-8"
        raise EnvctlError(f"stdout cannot be written: {getattr(error, 'strerror', None) or error}", hint=hint) from None


def _silence(stream: TextIO) -> None:
    """What is still in its buffer goes nowhere: Python would try again at the end, and change the exit status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
