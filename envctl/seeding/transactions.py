"""A transaction that a file of SQL begins and never ends: its server would undo everything in it without a word, so each is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from envctl.seeding import BadFile, pieces

LEFT_OPEN = "a transaction is left open at the end of the file"
"""What a server is made to say; postgres.yaml has the same words."""
ASKED = re.compile(rf"(?:ERROR:  |\(45000\) at line \d+: ){LEFT_OPEN}")
"""Its answer. A quote that does not close swallows the question, which is then among the words of a syntax error."""
MYSQL = "mysql-sql"
_ENDS = f"""
DELIMITER ;;
BEGIN NOT ATOMIC IF @@in_transaction THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{LEFT_OPEN}'; END IF; END;;
"""
_DELIMITER = re.compile(rb"""^[ \t]*delimiter[ \t]+["'`]?([^ \t\n"'`]+)""", re.IGNORECASE | re.MULTILINE)
_OPENS = re.compile(
    rb"^\s*(?:begin\b[^;]*;|start\s+transaction\b|set\s+[^;]*\bautocommit\s*=?\s*(?:0|off)\b|\\set\s+autocommit\s+off)", re.IGNORECASE
)
_LONGEST = 100
"""A line with DELIMITER is shorter; it may begin in one piece and end in the next."""


def with_question(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same for the client of MariaDB, which takes no command behind its input: the question stands behind the file.

    The delimiter that holds there ends a last statement that the file leaves without one; it ends nothing otherwise.
    """
    delimiter, before = b";", b""
    for piece in content:
        text = before + piece
        if b"delimiter" in text.lower() and (found := _DELIMITER.findall(text)):
            delimiter = found[-1]
        line = text.rpartition(b"\n")[2]
        before = line if len(line) < _LONGEST else b"-"
        yield piece
    yield b"\n" + delimiter + _ENDS.encode()


def opened_at(path: Path, root: Path) -> str:
    """`file:line` of the last line that begins a transaction; the file alone where none looks like that."""
    number, rest, last = 1, b"", 0
    try:
        for piece in pieces(path, root):
            *lines, rest = (rest + piece).split(b"\n")
            last = max((number + index for index, line in enumerate(lines) if _OPENS.match(line)), default=last)
            number += len(lines)
    except BadFile:
        return str(path)
    last = number if _OPENS.match(rest) else last
    return f"{path}:{last}" if last else str(path)
