r"""Check for an open transaction before each `\connect` in a file for psql.

`\connect` ends the session and undoes the changes of an open transaction without a message. The check is inserted on the line of
`\connect`, so that psql's line numbers still match the file, and only where psql itself would see a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envctl.seeding.psql_text import CONNECT, Reading

PSQL = "sql"
OPEN = r"a transaction is open where `\connect` leaves it"
_QUESTION = (
    "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'transactionid' AND mode = 'ExclusiveLock') "
    f"THEN RAISE EXCEPTION '{OPEN}'; END IF; END $do$; "
).encode()
_SQL = rb"\\ "
"""Ends the arguments of the preceding psql command."""


def reconnects_until(content: Iterable[bytes]) -> int:
    """Return the number of bytes up to which the file must be read as psql reads it.

    This is 0 for most files, and small for most other files.
    """
    last, read, until = b"", 0, 0
    for piece in content:
        text = last + piece
        until = read - len(last) + end if (end := _last_end(text)) else until
        read, last = read + len(piece), text[-16:]
    return until


def _last_end(text: bytes) -> int:
    at = len(text)
    while (at := text.rfind(b"\\c", 0, at)) >= 0:
        if found := CONNECT.match(text, at):
            return found.end()
    return 0


def with_questions(content: Iterable[bytes], until: int) -> Iterator[bytes]:
    r"""Yield *content* with a check for an open transaction before each `\connect` in the first *until* bytes."""
    reading, waiting, read = Reading(), list[bytes](), 0
    for piece in content:
        lines, newline, rest = piece.rpartition(b"\n")
        waiting.append(lines + newline)
        if read >= until:
            yield b"".join((*waiting, rest))
            waiting = []
        elif newline:
            read += sum(map(len, waiting))
            yield from _asked(b"".join(waiting), reading)
            waiting = [rest]
        else:
            waiting.append(rest)
    yield from _asked(b"".join(waiting), reading)


def _asked(text: bytes, reading: Reading) -> Iterator[bytes]:
    done = 0
    for at, behind in reading.connects(text):
        yield text[done:at] + (_SQL if behind else b"") + _QUESTION
        done = at
    yield text[done:]
