"""Detect a transaction that an SQL file begins and never ends.

The server would undo its changes without a message, so a statement after the file asks the server whether a transaction is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from envctl.seeding import BadFile, pieces

LEFT_OPEN = "a transaction is left open at the end of the file"
"""The error message that the check makes the server print; postgres.yaml contains the same words."""
ASKED = re.compile(rf"(?:ERROR:  |\(45000\) at line \d+: ){LEFT_OPEN}")
"""The server's output when the check fails. After an unclosed quote, the check's text is part of a syntax error instead."""
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
"""The number of bytes that a line with DELIMITER never reaches; such a line may begin in one piece and end in the next."""


def with_question(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *content*, followed by a check for an open transaction.

    MariaDB's client takes no commands after its input, so the check is appended to the file. The delimiter that is in effect at the end
    comes first: it ends a last statement that has no delimiter, and otherwise does nothing.
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
    """Return the `file:line` of the last line that begins a transaction, or only the file if no line does."""
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
