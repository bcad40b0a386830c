"""What helps with a server's words."""

from __future__ import annotations

import pytest

from envctl.seeding.advice import ADVICE, advice_for


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("ERROR 1227 (42000) at line 7: Access denied; you need (at least one of) the SET USER privilege(s)", "username: root"),
        ("psql:<stdin>:1: error: \\ir: No such file or directory", "sql: FOLDER"),
        ('ERROR:  column "id;name" of relation "t" does not exist', "commas"),
        ("ERROR 1054 (42S22): Unknown column 'id;name' in 'field list'", "commas"),
        ('ERROR:  column "id " of relation "t" does not exist', "blank"),
        ('ERROR:  role "deploy" does not exist', "--no-owner"),
    ],
)
def test_known_mistakes(output: str, word: str) -> None:
    assert word in advice_for(output)


@pytest.mark.parametrize("output", ["", 'ERROR:  column "id" of relation "t" does not exist'])
def test_others_are_to_be_looked_at(output: str) -> None:
    assert advice_for(output) == ADVICE
