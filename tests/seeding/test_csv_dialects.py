from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.seeding.csv.dialects import DIALECTS, postgres_csv
from envctl.seeding.csv.records import chunks
from tests.seeding.reference import READERS

VALUES = st.none() | st.text(st.sampled_from('ab",\n\r\t\\ü N.'))
ROWS = st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=5))
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])


def written(table: list[list[str | None]], line_ends: list[str], quoted: bool) -> bytes:
    """Return *table* as CSV: NULL as an empty field; without *quoted*, only the fields that need quotes have them."""
    text = ""
    for number, row in enumerate(table):
        text += ",".join(_field(value, quoted) for value in row) + line_ends[number % len(line_ends)]
    return text.encode()


def _field(value: str | None, quoted: bool) -> str:
    if value is None:
        return ""
    return '"' + value.replace('"', '""') + '"' if quoted or not value or set(value) & set('",\r\n') else value


def fed(dialect: str, data: bytes) -> bytes:
    return b"".join(DIALECTS[dialect].write(chunk.data) for chunk in chunks([data]))


@pytest.mark.parametrize("dialect", READERS)
@given(table=ROWS, line_ends=st.lists(LINE_ENDS, min_size=1), quoted=st.booleans())
def test_a_server_reads_what_the_file_says(dialect: str, table: list[list[str | None]], line_ends: list[str], quoted: bool) -> None:
    header = ",".join("abc"[: len(table[0])] if table else "a").encode() + b"\n"
    rows = [row for row in table if row != [None]]
    expected = [[None if value is None else value.encode() for value in row] for row in rows]
    assert READERS[dialect](fed(dialect, header + written(table, line_ends, quoted))) == expected


@given(st.lists(st.sampled_from(["a", "\\", "\t", "\0", "N", "\\N", "\\.", " "])).map("".join))
def test_mysql_gets_its_escapes(value: str) -> None:
    data = f'a,b\n{value},"{value}"\n'.encode()
    assert READERS["mysql-tsv"](fed("mysql-tsv", data)) == [[value.encode() or None, value.encode()]]


@pytest.mark.parametrize("data", [b"1,2\n3,4\n", b'1,"2\r\n\r\n3"\n'.replace(b"\r", b""), b"\xc3\xbc,\\\n", b"1,"])
def test_postgres_gets_the_chunk_itself_where_copy_takes_it(data: bytes) -> None:
    assert postgres_csv(data) == data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'1,"2\r\n3"\r\n', b'1,"2\r\n3"\n'),
        (b"1\r2\n3\r\n", b"1\n2\n3\n"),
        (b'\n\n1\n\r\n"\n\n"\n\n', b'1\n"\n\n"\n'),
        (b"\\.\n1\n\\.\n\\.x\n", b'"\\."\n1\n"\\."\n\\.x\n'),
        (b'"\r\n\\.\r\n"\r\n', b'"\r\n\\.\r\n"\n'),
    ],
)
def test_postgres_gets_lines_of_one_sort_and_no_end_marker(data: bytes, expected: bytes) -> None:
    r"""psql and the server take a line `\.` as the end of the data, and would silently lose the rest."""
    assert postgres_csv(data) == expected
