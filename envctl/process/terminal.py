"""What goes to stdout and stderr. Nobody may be listening, and the disk behind them may be full: that ends no command halfway."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from envctl.errors import EnvctlError
from envctl.errors.printable import harmless
from envctl.process.wrapping import wrapped


class Unread(Exception):
    """Whoever read stdout has gone (`| head -1`): there is nothing to say and nobody to say it to."""


class _Stream:
    """stdout or stderr as everybody sees it: after the first failure, which *failed* is told of, everything goes nowhere."""

    def __init__(self, stream: TextIO, failed: Callable[[Exception], None]) -> None:
        self._stream, self._failed, self._dirty = stream, failed, False

    def write(self, text: str) -> int:
        if text == "":  # Click tries with nothing which kind of stream this is, and takes no failure of that for one
            return 0
        self._dirty = True
        with self._checked():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """What was not written need not be: a full disk takes not even nothing."""
        if self._dirty:
            with self._checked():
                self._stream.flush()
        self._dirty = False

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeEncodeError) as error:
            # Python would try again at its end, and change the exit status.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _said(error: Exception) -> None:
    """
    Raises:
        EnvctlError, Unread
    """
    if isinstance(error, BrokenPipeError):
        raise Unread from None
    hint = "" if isinstance(error, OSError) else "PYTHONUTF8=1 makes it UTF-8"
    raise EnvctlError(f"stdout cannot be written: {getattr(error, 'strerror', None) or error}", hint=hint) from None


def protect() -> None:
    """At the start of a command: what is closed is opened to nowhere, lest a file of ours gets its number.

    stderr never fails from now on, and stdout says so in a sentence.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    # Names of files and values of variables that are no UTF-8 come out as they came in.
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="surrogateescape")
    sys.stdout, sys.stderr = _Stream(stdout, _said), _Stream(stderr, lambda error: None)


def tell(*lines: str) -> None:
    """To people, on stderr: each of *lines* is one line, whatever it holds; a terminal gets it at its width."""
    if lines:
        # One write, as `print` makes a second one of the last line's end: another thread's line could come between.
        sys.stderr.write("".join(f"{wrapped(harmless(line), sys.stderr)}\n" for line in lines))
        sys.stderr.flush()


def show(*lines: str) -> None:
    """The result of a command, on stdout, for people: each of *lines* is one line, whatever it holds; a terminal gets it at its width.

    Raises:
        EnvctlError, Unread: as `give`.
    """
    encoding = sys.stdout.encoding or "utf-8"
    give("".join(f"{wrapped(harmless(line), sys.stdout)}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding))


def pass_on(piece: bytes, *, error: bool = False) -> None:
    """What a command prints, byte for byte, to stdout or to stderr.

    Raises:
        EnvctlError, Unread: as `give`; not for stderr.
    """
    stream = sys.stderr if error else sys.stdout
    stream.flush()
    try:
        stream.buffer.write(piece)
        stream.buffer.flush()
    except OSError as failed:
        if not error:
            _said(failed)


def give(text: str) -> None:
    """The result of a command, on stdout, for programs: as it is.

    Raises:
        EnvctlError: it cannot be written.
        Unread: nobody reads it any more.
    """
    sys.stdout.write(text)
    sys.stdout.flush()
