from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envctl.seeding import BadFile
from envctl.seeding.csv import records
from envctl.seeding.csv.records import chunks, rows
from tests.seeding import reference

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=6))
TRICKY = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\\", b"\0", b'""', b"\r\n", b'","', b'"\n', b"a,b\n"])).map(b"".join)
"""Random pieces of CSV; most of the results are not valid CSV."""


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    at = 0
    for place in sorted({min(place, len(data)) for place in places}):
        yield data[at:place]
        at = place
    yield data[at:]


def fields(record: bytes) -> list[reference.Field]:
    [(_, found)] = reference.records(record)
    return found


def read(data: bytes, places: list[int] | None = None) -> list[tuple[int, list[reference.Field]]]:
    return [(line, fields(record)) for line, record in rows(cut(data, places or []))]


def outcome(reading: Callable[[], object]) -> object:
    """Return the result of *reading*, or the line of the mistake."""
    try:
        return reading()
    except BadFile as error:
        return error.line
    except ValueError as error:
        return error.args[0]


def body(data: bytes) -> list[list[reference.Field]]:
    return [found for _, found in read(data)]


@given(TRICKY, st.lists(st.integers(0, 60)))
@example(b"a\r\n1\r\n2", [2, 5])
@example(b'a\n"1""2"\n', [5, 6])
@example(b'a\n"1', [3])
def test_pieces_are_read_as_the_whole_wherever_they_are_cut(data: bytes, places: list[int]) -> None:
    assert outcome(lambda: read(data, places)) == outcome(lambda: reference.table(data))


@given(TABLES, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 200)))
def test_what_python_writes_comes_back(table: list[list[str]], line_end: str, places: list[int]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(table)
    expected = [[value.encode() for value in row] for row in table]
    assert [found for _, found in read(stream.getvalue().encode(), places)] == expected[1:]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n\r\n", []),
        (b"a", []),
        (b"a\n", []),
        (b"a,b\n1,2", [[b"1", b"2"]]),
        (b'a,b\n,""\n', [[None, b""]]),
        (b"a,b\n,\n", [[None, None]]),
        (b"a,b\n1,", [[b"1", None]]),
        (b'a\n""\n', [[b""]]),
        (b"\na\n\n1\r\n\r\n2\n\n", [[b"1"], [b"2"]]),
        (b"\r\na,b\n\n1,2\n\n\n", [[b"1", b"2"]]),
        (b"a,b\n 1 , 2 3 \n", [[b" 1 ", b" 2 3 "]]),
        (b'a,"\n",c\n"a ""b"" c","d,e","f\r\ng\nh"\n', [[b'a "b" c', b"d,e", b"f\r\ng\nh"]]),
        (b"a,b\n\xff\xfe,\x00\n", [[b"\xff\xfe", b"\x00"]]),
    ],
)
def test_records(data: bytes, expected: list[list[reference.Field]]) -> None:
    assert body(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\n1\n2\n", [2, 3]),
        (b'a\r\n"1\r\n1"\r\n2\r\n', [2, 4]),
        (b'a\n\n"1\n\n1"\n2', [3, 6]),
        (b"a\r1\r2", [2, 3]),
        (b'a\n"1\r1"\n2\n', [2, 4]),
    ],
)
def test_a_record_knows_the_line_it_begins_in(data: bytes, expected: list[int]) -> None:
    assert [line for line, _ in read(data)] == expected


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'a\n"b', 2),
        (b'a\nb"c\n', 2),
        (b'"a"b\n', 1),
        (b'"a', 1),
        (b'a\n"x\ny"\n"z"z\n', 4),
        (b'a,b\n1,"2\n3', 2),
        (b'a,b\n"1\n1","2', 3),
        (b'a\n""" \n', 2),
    ],
)
def test_quotes_that_are_wrong(data: bytes, line: int) -> None:
    with pytest.raises(BadFile, match="a quote that is not closed, or one in the middle of a field") as caught:
        read(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a,b\n1,2\n3\n", 3, "1 fields where the header has 2"),
        (b'a,b\n"1\n1",2\n3,4,5\n', 4, "3 fields where the header has 2"),
        (b"a\n,\n", 2, "2 fields where the header has 1"),
        (b'a,b\n""\n', 2, "1 fields where the header has 2"),
    ],
)
def test_a_record_of_another_length(data: bytes, line: int, words: str) -> None:
    with pytest.raises(BadFile, match=words) as caught:
        read(data)
    assert caught.value.line == line


def test_a_mistake_is_found_before_the_rest_is_read() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a,b\n1,2\n3\n"
        raise AssertionError("read on")

    with pytest.raises(BadFile, match="1 fields"):
        list(chunks(pieces()))


def test_a_quote_that_does_not_close_is_known_before_all_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LARGEST", 1000)
    taken: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        yield b'a\n1\n"'
        for _ in range(100):
            taken.append(b"x" * 100)
            yield taken[-1]

    with pytest.raises(BadFile, match="a quote that is not closed") as caught:
        list(chunks(pieces()))
    assert caught.value.line == 3
    assert len(taken) < 30


def test_a_long_record_takes_no_square_of_its_length() -> None:
    """The record has 32 MB in 8192 pieces; parsing from its start for each piece would read 130 GB."""
    began = time.monotonic()
    pieces = [b'a\n"', *[b"x" * 4096] * 8192, b'"\n2\n']
    [long, (line, last)] = rows(pieces)
    assert (len(long[1]), line, last) == (4096 * 8192 + 3, 3, b"2\n")
    assert time.monotonic() - began < 20


def test_a_long_record_at_the_very_end_is_read() -> None:
    """Its last piece alone is too small to trigger another attempt at parsing."""
    assert body(b'a\n"' + b"x" * 1000 + b'"') == [[b"x" * 1000]]
    assert len(list(rows([b'a\n"', b"x" * 1000, b"y", b'"', b"\n"]))) == 1
