"""Tests of the seed data: a procedure written with DELIMITER, and rows with values that are hard to quote."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pymysql
import pytest
from pymysql.cursors import Cursor


@pytest.fixture
def cursor() -> Iterator[Cursor]:
    url = urlsplit(os.environ["DATABASE_URL"])
    connection = pymysql.connect(
        host=url.hostname,
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=unquote(url.path.removeprefix("/")),
    )
    # The transaction is not committed, so the test leaves no data.
    with connection, connection.cursor() as cursor:
        yield cursor


def test_the_rows_are_as_in_the_file(cursor: Cursor) -> None:
    cursor.execute("SELECT * FROM customers ORDER BY id")

    assert cursor.fetchall() == (
        (1, "Grace Hopper", "1 Navy Yard, Arlington", None),
        (2, "Łukasiewicz, Jan", None, ""),
        (3, "François Viète", "7 rue de l'Église", 'says "quand même"'),
        (4, "紫式部", "京都市上京区\n堀川通", "a street of two lines, and a tab:\there"),
        (5, "Ken Thompson", r"C:\temp\new", r"\N"),
    )


def test_the_procedure_bills(cursor: Cursor) -> None:
    cursor.callproc("bill", (2, 1200))

    assert cursor.fetchall() == ((1, 1200),)
