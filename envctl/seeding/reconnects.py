r"""`\connect` in a file for psql: it ends a session, and undoes what an open transaction has written, without a word; so that is asked.

The question stands on the line of `\connect`, so that psql counts lines as the file does; and only where psql itself would see a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

PSQL = "sql"
OPEN = r"a transaction is open where `\connect` leaves it"
_QUESTION = (
    "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'transactionid' AND mode = 'ExclusiveLock') "
    f"THEN RAISE EXCEPTION '{OPEN}'; END IF; END $do$; "
).encode()
_CONNECT = re.compile(rb"\\c(?:onnect)?(?![^\s;])")
_COPY = re.compile(rb"\s*\\?copy\b.*\bfrom\s+(?:p?stdin)\b", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(rb"""--|/\*|;|\\;|\\|(?<![\w$])[eE]'|'|"|(?<![\w$])\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$""")
_ENDS = {b"'": re.compile(rb"'"), b'"': re.compile(rb'"'), b"e'": re.compile(rb"\\.|'", re.DOTALL), b"/*": re.compile(rb"/\*|\*/")}
_BLANK = b"\xef\xbb\xbf \t\r\n\f\v"
_LONGEST = 1 << 16
"""Bytes of a statement that tell whether data follows it."""


def may_reconnect(content: Iterable[bytes]) -> bool:
    """Whether it is worth to look at every line."""
    last = b""
    for piece in content:
        if _CONNECT.search(last + piece):
            return True
        last = piece[-16:]
    return False


def with_questions(content: Iterable[bytes]) -> Iterator[bytes]:
    r"""The same with a question before each `\connect`: whether there is something to lose."""
    reading, rest = _Reading(), b""
    for piece in content:
        *lines, rest = (rest + piece).split(b"\n")
        if lines:
            yield b"\n".join(map(reading.line, lines)) + b"\n"
    if rest:
        yield reading.line(rest)


class _Reading:
    """A file as psql reads it, line by line: what is text, comment or data to it is no command."""

    def __init__(self) -> None:
        self._inside, self._depth = b"", 0
        self._statement = b""
        self._data = False

    def line(self, text: bytes) -> bytes:
        if self._data:
            self._data = text.rstrip(b"\r") != b"\\."
            return text
        at = 0
        while at < len(text):
            if self._inside:
                at = self._leave(text, at)
                continue
            found = _TOKEN.search(text, at)
            self._note(text[at : found.start() if found else None])
            if found is None or found.group() == b"--":
                break
            at = found.end()
            if found.group() == b"\\":
                return self._command(text, found.start())
            self._enter(found.group())
        self._note(b"\n")
        return text

    def _note(self, more: bytes) -> None:
        self._statement = (self._statement + more)[:_LONGEST] if len(self._statement) < _LONGEST else self._statement

    def _enter(self, token: bytes) -> None:
        if token == b";":
            self._data, self._statement = bool(_COPY.match(self._statement)), b""
            return
        if token == b"\\;":  # both statements are sent as one
            return
        self._inside, self._depth = token.lower() if token in (b"E'", b"e'") else token, 1
        if token != b"/*":
            self._note(b"'")

    def _leave(self, text: bytes, at: int) -> int:
        """Behind its end, or that of the line; a doubled quote is an end and a beginning."""
        end = _ENDS.get(self._inside) or re.compile(re.escape(self._inside))
        for found in end.finditer(text, at):
            if found.group().startswith(b"\\"):
                continue
            self._depth += 1 if found.group() == b"/*" else -1
            if not self._depth:
                self._inside = b""
                return found.end()
        return len(text)

    def _command(self, text: bytes, at: int) -> bytes:
        """The rest of the line is a command of psql's own."""
        self._data = bool(_COPY.match(text, at))
        if _CONNECT.match(text, at) and not self._statement.strip(_BLANK):
            return text[:at] + _QUESTION + text[at:]
        return text
