"""Write to stdout and stderr. The reader may be gone and the disk behind a stream may be full: neither ends a command halfway."""

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
    """The reader of stdout has gone (`| head -1`), so that no message is needed."""


class _Stream:
    """A wrapper of stdout or stderr. After the first failed write, it calls *failed* with the error and discards everything else."""

    def __init__(self, stream: TextIO, failed: Callable[[Exception], None]) -> None:
        self._stream, self._failed, self._dirty = stream, failed, False

    def write(self, text: str) -> int:
        if text == "":  # Click writes an empty text to find out the kind of the stream, and must not see an error
            return 0
        self._dirty = True
        with self._checked():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if anything was written: on a full disk even an empty flush fails."""
        if self._dirty:
            with self._checked():
                self._stream.flush()
        self._dirty = False

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeEncodeError) as error:
            # Python would flush the stream again at its end, and change the exit code.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _said(error: Exception) -> None:
    """Raise the error for a failed write to stdout.

    Raises:
        Unread: the reader has closed stdout.
        EnvctlError: stdout cannot be written for another reason.
    """
    if isinstance(error, BrokenPipeError):
        raise Unread from None
    hint = "" if isinstance(error, OSError) else "PYTHONUTF8=1 makes it UTF-8"
    raise EnvctlError(f"stdout cannot be written: {getattr(error, 'strerror', None) or error}", hint=hint) from None


def protect() -> None:
    """Prepare the streams at the start of a command.

    Closed streams are opened to /dev/null, so that no file of envctl gets their descriptor. From now on, writes to stderr never fail, and a
    failed write to stdout raises EnvctlError or Unread.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    # File names and values of variables that are not valid UTF-8 are written back unchanged.
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="surrogateescape")
    sys.stdout, sys.stderr = _Stream(stdout, _said), _Stream(stderr, lambda error: None)


def tell(*lines: str) -> None:
    """Print *lines* for people to stderr, each as one line whatever it contains; a terminal gets them wrapped at its width."""
    if lines:
        # A single write: `print` writes the line break separately, so that a line of another thread could come in between.
        sys.stderr.write("".join(f"{wrapped(harmless(line), sys.stderr)}\n" for line in lines))
        sys.stderr.flush()


def show(*lines: str) -> None:
    """Print the result of a command for people to stdout, each of *lines* as one line; a terminal gets them wrapped at its width.

    Raises:
        EnvctlError, Unread: as by `give`.
    """
    encoding = sys.stdout.encoding or "utf-8"
    give("".join(f"{wrapped(harmless(line), sys.stdout)}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding))


def pass_on(piece: bytes, *, error: bool = False) -> None:
    """Write a piece of a command's output unchanged to stdout, or to stderr if *error* is set.

    Raises:
        EnvctlError, Unread: as by `give`; never for stderr.
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
    """Write the result of a command unchanged to stdout, for programs.

    Raises:
        EnvctlError: stdout cannot be written.
        Unread: the reader of stdout has gone.
    """
    sys.stdout.write(text)
    sys.stdout.flush()
