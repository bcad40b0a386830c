r"""Tests of `\connect` in an SQL file: a check for an open transaction comes before it, except where none can be inserted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, psql_text, seed
from envctl.seeding.reconnects import _QUESTION, OPEN, reconnects_until, with_questions
from tests.builders import FakeDeployment, feed, plan_with, step_of

COMMANDS = [
    rb"\connect other",
    rb"\c",
    rb"\c other",
    b"begin;\ninsert into t values (1);\n  \\connect other\nselect 1;\n",
    b"\xef\xbb\xbf\\connect other\r\nselect 1;\r\n",
    b"-- it's a comment\n\\c other\n",
    b"/* one /* two */ it's\n\\c other */ \\connect other\n",
    rb"select 1; \c other",
    b"select 'it''s', \"a'b\", e'a\\'b', E'a\\\\', $$it's$$, $a$ $$ ' $a$, x$1;\n\\c other\n",
    b"copy t (a, b) from stdin;\n1\tit's $$\n\\N\t\\\\c x\n\\.\n\\c other\n",
    b"\\copy t from stdin\n'\n\\.\n\\c other\n",
    b"copy t to stdout;\n\\c other\n",
    b"select 1 \\; select 2;\n\\c other\n",
    b"\\set x 'it is'\n\\c other\n",
    b"insert into t values (1) \\g\n\\c other\n",
    b"select 1 as x \\gset\n\\c other\n",
    b"select 'x' \\gexec\n\\c other\n",
    b"select 1 \\g (format=csv) | cat \\c x\n\\c other\n",
    b"select 1 \\watch c=1\n\\c other\n",
    b"select \\r\n\\c other\n",
    b"copy t from stdin \\g\n'\n\\c x\n\\.\n\\c other\n",
    b"copy t from stdin; select 1;\n'\n\\c x\n\\.\n\\c other\n",
    b"copy t from stdin; copy t from stdin;\n'\n\\.\n\\c x\n\\.\n\\c other\n",
    b"copy (select 'from stdin') to stdout;\n\\c other\n",
    b"copy t(a)/* ' */from stdin;\n'\n\\.\n\\c other\n",
    b"copy t --;\nfrom stdin;\n'\n\\.\n\\c other\n",
    b"select e'a''b\\'c', date'2026-01-01', 1-1, 4/2;\n\\c other\n",
    b"insert into t values (e'a\\'b', date'1', name'it''s', E'\\\\', 'ye''s'), ('\n', e'\\'\n''\\'');\n\\c other\n",
    b"\\echo it is\n\\c other\n",
    b"\\echo one \\\\ \\c other\n",
    b"\\! echo \\c x\n\\c other\n",
    b"set a = 1;\n\n-- it's\nCOPY t FROM stdin;\n'\n\\.\nset b = 1;\n\\c other\n",
]
BEHIND = [
    b"\\if true \\connect other\n\\endif\n",
    b"\\echo 'a\\'\\c x' \"\\c x\" `\\c x` \\c other\n",
    b"insert into t values (1) \\g \\connect other\n",
]
NONE = [
    b"select 1;\n\\conninfo\n\\copy t from stdin\n\\c other\n\\.\n",
    b"select '\n\\connect other\n';\n",
    b"select e'\\'\n\\connect other\n';\n",
    b"select $a$\n\\connect other $$\n$a$;\n",
    b'select "\n\\connect other\n";\n',
    b"/* \n\\connect other\n*/\n",
    b"-- \\connect other\n",
    b"copy t from stdin;\n\\connect other\n\\.\n",
    b'COPY public."T" ("a;b") FROM stdin WITH (FORMAT csv);\n\\c other\n\\.\n',
    b"select 1\n\\connect other\n",
]


def sent(text: bytes, length: int) -> bytes:
    def pieces() -> Iterator[bytes]:
        return (text[at : at + length] for at in range(0, len(text), length))

    return b"".join(with_questions(pieces(), reconnects_until(pieces())))


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("text", COMMANDS)
def test_a_question_stands_on_the_line_before_the_command(text: bytes, length: int) -> None:
    found = sent(text, length)
    assert found.replace(_QUESTION, b"") == text
    assert found.count(_QUESTION) == 1
    assert found.count(_QUESTION + b"\\c") == 1
    assert found.count(b"\n") == text.count(b"\n")


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("text", BEHIND)
def test_behind_another_command_it_begins_as_sql(text: bytes, length: int) -> None:
    found = sent(text, length)
    assert found.replace(b"\\\\ " + _QUESTION, b"") == text
    assert found.count(b"\\\\ " + _QUESTION + b"\\c") == 1


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("text", NONE)
def test_what_psql_takes_for_text_or_data_stays_as_it_is(text: bytes, length: int) -> None:
    assert sent(text, length) == text


PARTS = (
    *("\n", "\n", ";", ";\n", " ", "x", "e", "'", "e'", "\\'", "''", '"', "$$", "$a$", "$1", "--", "-", "/*", "*/", "/", "`"),
    *("copy t from stdin", "copy t from stdin;\n", "\n\\.\n", "\\copy t from stdin", "insert into t"),
    *("\\c x", "\n\\c x\n", "\\g", "\\r", "\\echo ", "\\;", "\\\\", "\\"),
)


@given(st.lists(st.sampled_from(PARTS), max_size=30).map(lambda parts: "".join(parts).encode()), st.integers(1, 9))
@example(b"copy t from stdin;x\n\\.\n\\c x", 1)
def test_skipping_finds_what_reading_everything_does(text: bytes, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for skipping in ("_TO_ITS_END", "_AND_OTHERS"):
            patch.setattr(psql_text, skipping, re.compile(rb"""[^'"\\$;/\-]|-(?!-)|/(?!\*)"""))
        slowly = sent(text, 1)
    assert sent(text, length) == sent(text, 1000) == slowly


def test_texts_and_lines_of_any_length_are_skipped() -> None:
    text = b"insert into t values (e'" + b"\\'''" * 5000 + b"'), " + b"('x', 'it''s', -1)," * 5000 + b"('\\c x');\n\\c other\n"
    assert sent(text, 1 << 18) == sent(text, 999) == text.replace(b"\n\\c", b"\n" + _QUESTION + b"\\c")


def test_what_is_behind_the_last_command_is_not_read_as_psql_does() -> None:
    assert reconnects_until([b"select 1;\n\\con", b"nect other\n", b"select '"]) == len(b"select 1;\n\\connect")
    assert reconnects_until([b"select 1;\n", b"\\copy t from stdin\n\\.\n\\conninfo\n\\cd x\n"]) == 0


def test_it_is_an_error_with_its_line(tmp_path: Path) -> None:
    text = b"begin;\ninsert into t values (1);\n\\connect other\n"
    (tmp_path / "1.sql").write_bytes(text)
    planned = step_of("db", step={"sql": "x"}, files=(tmp_path / "1.sql",), feed=feed("sql"))
    said = f"psql:<stdin>:3: ERROR:  {OPEN}\nCONTEXT:  PL/pgSQL function inline_code_block line 1 at RAISE\n"
    project = FakeDeployment(answers={("client", "-f", "-"): CommandResult(3, said)})
    with pytest.raises(ServiceFailed) as caught:
        seed(planned, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert caught.value.message == f"db: seed step 1 failed at {tmp_path / '1.sql'}:3: {OPEN}"
    assert caught.value.evidence is not None
    assert caught.value.evidence.advice == r"what it wrote would be lost: `COMMIT;` before `\connect`"
    assert project.fed[0] == text.replace(b"\\connect", _QUESTION + b"\\connect")
