"""Tests of a transaction that a file leaves open: finding its begin, and the check that the MariaDB client runs after the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from envctl.seeding.transactions import LEFT_OPEN, opened_at, with_question
from tests.builders import FakeDeployment, feed, plan_with, step_of

OPEN = CommandResult(1, f"BEGIN NOT ATOMIC ...\n\nERROR 1644 (45000) at line 9: {LEFT_OPEN}\n")


@pytest.mark.parametrize("name", ["1.sql", "1.sql.gz"])
@pytest.mark.parametrize("step", ["sql", "restore"])
def test_it_is_an_error_where_it_begins(tmp_path: Path, step: str, name: str) -> None:
    content = b"create table t (a int);\n  Begin;\ninsert into t values (1);\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    dialect = {"sql": "mysql-sql", "restore": "mysql-dump"}[step]
    planned = step_of("db", step={step: "x"}, files=(tmp_path / name,), feed=feed(dialect))
    project = FakeDeployment(answers={("client", "-f", "-"): OPEN})
    with pytest.raises(ServiceFailed) as caught:
        seed(planned, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert caught.value.message == f"db: seed step 1 failed at {tmp_path / name}:2: {LEFT_OPEN}"
    assert caught.value.evidence is not None
    assert "COMMIT;" in caught.value.evidence.advice
    assert project.fed[0].startswith(content + b"\n;\nDELIMITER ;;\n"), "the question stands behind the file"


@pytest.mark.parametrize(
    "near", ["45000' SET MESSAGE_TEXT = 'WORDS'...' at line 1", "\"a\n;\nDELIMITER ;;\nBEGIN NOT ATOMIC ... SIGNAL SQLSTATE '...'"]
)
def test_a_quote_that_swallows_the_question_is_no_open_transaction(tmp_path: Path, near: str) -> None:
    said = f"ERROR 1064 (42000) at line 1: You have an error in your SQL syntax; check the manual for the right syntax to use near '{near}"
    (tmp_path / "1.sql").write_text("insert into t values ('a")
    planned = step_of("db", step={"sql": "x"}, files=(tmp_path / "1.sql",), feed=feed("mysql-sql"))
    project = FakeDeployment(answers={("client", "-f", "-"): CommandResult(1, said.replace("WORDS", LEFT_OPEN))})
    with pytest.raises(ServiceFailed, match=r"1\.sql:1: ERROR 1064") as caught:
        seed(planned, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert caught.value.evidence is not None
    assert "quote" in caught.value.evidence.advice


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("begin;", ":1"),
        ("begin;\ncommit;\n\nSTART TRANSACTION READ WRITE;\ninsert into t values (1)", ":4"),
        ("begin work;\n create function f() returns trigger as $$\nbegin\n return new;\nend $$ language plpgsql;\n", ":1"),
        ("x;\nset AutoCommit = 0;\nx;\n", ":2"),
        ("x;\nset names utf8, session autocommit=OFF;\n", ":2"),
        ("\\set AUTOCOMMIT off\nx;\n", ":1"),
        ("set autocommit=1;\n", ""),
        ("x; begin; y;", ""),
    ],
)
def test_the_line_that_begins_it(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "x.sql").write_text(text)
    assert opened_at(tmp_path / "x.sql", tmp_path) == f"{tmp_path / 'x.sql'}{line}"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        (b"insert into t values (1)", b";"),
        (b"DELIMITER //\nselect 1 //\n", b"//"),
        (b"delimiter $$\r\nselect 1 $$\r\nDELIMITER ;\r\n", b";\r"),
        (b"select 'a delimiter x';\n-- DELIMITER //\n", b";"),
        (b"DELIMITER '//' -- until the end\nselect 1", b"//"),
    ],
)
@pytest.mark.parametrize("length", [1, 5, 100])
def test_the_question_ends_a_last_statement_first(text: bytes, delimiter: bytes, length: int) -> None:
    sent = b"".join(with_question(text[at : at + length] for at in range(0, len(text), length)))
    assert sent.startswith(text + b"\n" + delimiter + b"\nDELIMITER ;;\n")
