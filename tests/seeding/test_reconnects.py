r"""`\connect` while a transaction is open: the question before it, and where none may stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from envctl.seeding.reconnects import _QUESTION, OPEN, may_reconnect, with_questions
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
    return b"".join(with_questions(text[at : at + length] for at in range(0, len(text), length)))


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("text", COMMANDS)
def test_a_question_stands_on_the_line_before_the_command(text: bytes, length: int) -> None:
    found = sent(text, length)
    assert found.replace(_QUESTION, b"") == text
    assert found.count(_QUESTION) == 1
    assert found.count(_QUESTION + b"\\c") == 1
    assert found.count(b"\n") == text.count(b"\n")
    assert may_reconnect([text])


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("text", NONE)
def test_what_psql_takes_for_text_or_data_stays_as_it_is(text: bytes, length: int) -> None:
    assert sent(text, length) == text


def test_most_files_are_not_looked_at_line_by_line() -> None:
    assert may_reconnect([b"select 1;\n\\con", b"nect other\n"])
    assert not may_reconnect([b"select 1;\n", b"\\copy t from stdin\n\\.\n\\conninfo\n\\cd x\n"])


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
