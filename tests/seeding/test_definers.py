"""Tests of removing DEFINER clauses from a dump of MariaDB; nothing else changes, wherever lines and pieces are split."""

from __future__ import annotations

import re

import pytest

from envctl.seeding import definers
from envctl.seeding.definers import HELD, without_definers

BY = b"DEFINER=`o`@`%` "
ONE_LINE = rb"""/*!40101 SET NAMES utf8 */;INSERT INTO t VALUES (1,'it\'s DEFINER=`x`@`y`'),(2,"DEFINER='x'@'y' \\"),('''DEFINER=x@y''');\
CREATE DEFINER=`o`@`%` FUNCTION f() RETURNS int RETURN 1;/* don't: DEFINER=x@y *//*!50003 CREATE*/ /*!50017 DEFINER=`o`@`%`*/ \
/*!50003 TRIGGER t*/;CREATE VIEW `DEFINER=x@y'` AS SELECT 1;CREATE DEFINER=`o`@`%` VIEW v AS SELECT '\\';CREATE DEFINER = 'o'@'h' EVENT;"""
LINES = b"-- don't: DEFINER=x@y\nCREATE " + BY + b"VIEW v;\n#'\nCREATE " + BY + b"VIEW w;\n--\n-- it's done"


def stripped(dump: bytes, size: int) -> bytes:
    return b"".join(without_definers(dump[at : at + size] for at in range(0, len(dump), size)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("before", [b"", b"INSERT INTO t VALUES ('" + b"-" * HELD + b"\\'" * 700 + b"');"])
def test_texts_and_comments_stay(size: int, before: bytes) -> None:
    dump = before + ONE_LINE.replace(b"\\\n", b"") + LINES
    assert stripped(dump, size) == re.sub(rb"DEFINER=`o`@`%`|DEFINER = 'o'@'h'", b"", dump)


@pytest.mark.parametrize("rest", [b"'open \\", b"/* open *", b"DEFINER=`o`@", b"--", b"`"])
def test_what_ends_in_the_middle_is_whole(rest: bytes) -> None:
    assert stripped(b"SELECT 1;" + rest, 4) == b"SELECT 1;" + rest


@pytest.mark.parametrize("part", [b"(1,'x'),", b"x" * 8, b"/*!50017 " + BY + b"*/", b"\\'", b"`"])
def test_no_byte_is_read_over_and_over(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    """Each byte is read once, or twice at the end of a piece, also without line breaks."""
    read = []

    def counted(text: bytes, opened: bytes, limit: int) -> tuple[list[bytes], int, bytes]:
        read.append(len(text))
        return once(text, opened, limit)

    once = definers._read
    monkeypatch.setattr(definers, "_read", counted)
    size, dump = 1 << 16, b"INSERT INTO t VALUES ('" + part * (3_000_000 // len(part))
    stripped(dump, size)
    assert sum(read) <= len(dump) * (size + 2 * HELD) / size


@pytest.mark.parametrize(
    "clause",
    [
        "DEFINER=`o`@`%`",
        "DEFINER = 'a b'@'10.%'",
        "DEFINER=deploy",
        "DEFINER=\n`o`\n@`%`",
        "DEFINER=CURRENT_USER",
        "DEFINER = CURRENT_USER()",
    ],
)
def test_every_form_of_the_words(clause: str) -> None:
    assert stripped(f"CREATE {clause} PROCEDURE p() SELECT 1;".encode(), 9) == b"CREATE  PROCEDURE p() SELECT 1;"
