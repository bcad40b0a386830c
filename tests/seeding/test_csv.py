from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from builders import FakeProject, feed, plan_with, step_of
from hypothesis import given
from hypothesis import strategies as st

from envctl.engines import Ran
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from envctl.seeding.csv import WRITERS, BadCsv, Field, checked, content, records

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=6))
VALUES = st.none() | st.text(st.sampled_from('ab",\n\r\t\\ü\0 N'))


def rows(data: bytes) -> list[list[Field]]:
    return [fields for _, fields in records(data)]


def lines(data: bytes) -> list[int]:
    return [line for line, _ in records(data)]


def written(table: list[list[str | None]], line_end: str = "\n") -> bytes:
    """Everything quoted, NULL as nothing at all."""
    shown = (",".join("" if v is None else '"' + v.replace('"', '""') + '"' for v in row) + line_end for row in table)
    return "".join(shown).encode()


# Reading


@given(TABLES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_python_writes_comes_back(table: list[list[str]], line_end: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(table)
    assert rows(stream.getvalue().encode()) == [[value.encode() for value in row] for row in table]


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=5))
def test_null_is_told_from_empty_text(table: list[list[str | None]]) -> None:
    expected = [[None if value is None else value.encode() for value in row] for row in table]
    assert rows(written(table)) == expected
    assert rows(written(table).removesuffix(b"\n")) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", [[b"a"]]),
        (b"a,b\n1,2", [[b"a", b"b"], [b"1", b"2"]]),
        (b'a,b\n,""\n', [[b"a", b"b"], [None, b""]]),
        (b"a,b\n,\n", [[b"a", b"b"], [None, None]]),
        (b"a,b\n1,", [[b"a", b"b"], [b"1", None]]),
        (b'a\n""\n', [[b"a"], [b""]]),
        (b"a\n\n1\r\n\r\n2\n\n", [[b"a"], [b"1"], [b"2"]]),
        (b" a , b c \n", [[b" a ", b" b c "]]),
        (b'"a ""b"" c","d,e","f\r\ng\nh"\n', [[b'a "b" c', b"d,e", b"f\r\ng\nh"]]),
        (b"\xff\xfe,\x00\n", [[b"\xff\xfe", b"\x00"]]),
    ],
)
def test_records(data: bytes, expected: list[list[Field]]) -> None:
    assert rows(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\n1\n2\n", [1, 2, 3]),
        (b'a\r\n"1\r\n1"\r\n2\r\n', [1, 2, 4]),
        (b'a\n\n"1\n\n1"\n2', [1, 3, 6]),
        (b"a\r1\r2", [1, 2, 3]),
    ],
)
def test_a_record_knows_the_line_it_begins_in(data: bytes, expected: list[int]) -> None:
    assert lines(data) == expected


@pytest.mark.parametrize(
    ("data", "line"), [(b'a\n"b', 2), (b'a\nb"c\n', 2), (b'"a"b\n', 1), (b'a\n"x\ny"\n"z"z\n', 4), (b'a,b\n1,"2\n3', 2), (b'a\n""" \n', 2)]
)
def test_quotes_that_are_wrong(data: bytes, line: int) -> None:
    with pytest.raises(BadCsv, match="a quote that does not close, or one in the middle of a field") as caught:
        rows(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a,b\n1,2\n3\n", 3, "1 fields where the header has 2"),
        (b'a,b\n"1\n1",2\n3,4,5\n', 4, "3 fields where the header has 2"),
        (b"a\n,\n", 2, "2 fields where the header has 1"),
    ],
)
def test_a_record_of_another_length(data: bytes, line: int, words: str) -> None:
    with pytest.raises(BadCsv, match=words) as caught:
        checked(data)
    assert caught.value.line == line


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_files_may_be_packed_and_begin_with_a_mark(tmp_path: Path, name: str, bom: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(bom + b"a\n") if name.endswith(".gz") else bom + b"a\n")
    assert content(path) == b"a\n"


# Writing


def from_copy(fed: bytes) -> list[list[Field]]:
    return rows(fed)


def from_load_data(fed: bytes) -> list[list[Field]]:
    r"""As MariaDB reads it: `\N` is NULL, a backslash escapes the next byte."""
    known = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("0"): b"\0", ord("\\"): b"\\"}

    def value(field: bytes) -> Field:
        if field == b"\\N":
            return None
        found, escaped = b"", False
        for byte in field:
            if escaped:
                found, escaped = found + known[byte], False
            elif byte == ord("\\"):
                escaped = True
            else:
                found += bytes([byte])
        return found

    return [[value(field) for field in line.split(b"\t")] for line in fed.split(b"\n")[:-1]]


READERS = {"postgres-csv": from_copy, "mysql-tsv": from_load_data}


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@given(table=st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=5))
def test_a_server_reads_what_the_file_says(dialect: str, line_end: str, table: list[list[str | None]]) -> None:
    fed = b"".join(WRITERS[dialect](b"a,b" + line_end.encode() + written(table, line_end)))
    assert READERS[dialect](fed) == [[None if value is None else value.encode() for value in row] for row in table]


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_copy_gets_line_ends_of_one_sort(table: list[list[str | None]], line_end: str) -> None:
    """It refuses a file that mixes them, be it within quotes."""
    fed = b"".join(WRITERS["postgres-csv"](b"a,b" + line_end.encode() + written(table, line_end)))
    ends = {end for _, end in map(_line_end, fed.splitlines(keepends=True))} if b'"' not in fed else set()
    assert len(ends) <= 1


def _line_end(line: bytes) -> tuple[bytes, bytes]:
    stripped = line.rstrip(b"\r\n")
    return stripped, line[len(stripped) :]


@pytest.mark.parametrize("dialect", READERS)
def test_a_large_file_is_fed_in_pieces(tmp_path: Path, dialect: str) -> None:
    """Neither all at once nor each row by itself."""
    read: list[bytes] = []
    project = FakeProject()
    project.execute = lambda service, what: (read.extend(what.stdin), Ran(0, ""))[1]  # type: ignore[method-assign]
    load(tmp_path, b"a\n" + (b"y" * 99 + b"\n") * 10_000, dialect, project=project)
    assert 1 < len(read) < 10
    assert b"".join(read) == (b"y" * 99 + b"\n") * 10_000


# Loading


def load(
    tmp_path: Path, data: bytes, dialect: str = "postgres-csv", ran: Ran | None = None, project: FakeProject | None = None
) -> FakeProject:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    step = step_of("db", 1, step={"csv": "x.csv", "into": "t"}, files=(path,), feed=feed(dialect))
    project = project or FakeProject(answers={("client", "-f", "-"): ran or Ran(0, "")})
    seed(step, Seeder(plan_with(), project, {}, tmp_path))
    return project


@pytest.mark.parametrize("dialect", READERS)
def test_the_servers_client_is_fed(tmp_path: Path, dialect: str) -> None:
    project = load(tmp_path, b'a,b\n1,\n2,""\n', dialect)
    assert project.executed == [("db", ("client", "-f", "-"))]
    assert project.environments == [{"PASSWORD": "x"}]
    assert READERS[dialect](project.fed[0]) == [[b"1", None], [b"2", b""]]


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("data", [b"", b"a,b", b"a,b\n"])
def test_a_table_without_rows(tmp_path: Path, dialect: str, data: bytes) -> None:
    assert load(tmp_path, data, dialect).fed == [b""]


@pytest.mark.parametrize("data", [b"a,b\n1,2\n1,2,3\n", b'a,b\n1,2\n1,"2\n', b'a,b\r\n1,2\n"x"y,2\n', b'a"x,b\n1,2\r\n'])
def test_a_bad_file_is_refused_before_anything_is_sent(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    project = FakeProject()
    step = step_of("db", step={"csv": "x.csv", "into": "t"}, files=(path,), feed=feed("mysql-tsv"))
    with pytest.raises(ServiceFailed) as caught:
        seed(step, Seeder(plan_with(), project, {}, tmp_path))
    assert str(path) in str(caught.value)
    assert project.executed == []


POSTGRES = 'ERROR:  invalid input syntax for type integer: "x"\nCONTEXT:  COPY products, line {}, column id: "x"\n'
MARIADB = "ERROR 1644 (45000) at line 5: Incorrect integer value: 'x' for column `app`.`t`.`a` at row {}\n"


@pytest.mark.parametrize(
    ("data", "dialect", "output", "line"),
    [
        (b"a,b\n1,2\nx,2\n", "postgres-csv", POSTGRES.format(2), ":3"),
        (b'a,b\n"1\n\n1",2\nx,2\n', "postgres-csv", POSTGRES.format(2), ":5"),
        (b'a,b\n1,2\n1,"2\n2"\nx,2\n', "postgres-csv", POSTGRES.format(4), ":5"),
        (b'a,b\n1,2\nx,"2\n2"\n1,2\n', "postgres-csv", POSTGRES.format(3), ":3"),
        (b'"a\na",b\nx,2\n', "postgres-csv", POSTGRES.format(1), ":3"),
        (b'a,b\n1,"2\n2"\nx,2\n', "mysql-tsv", MARIADB.format(2), ":4"),
        (b"a,b\nx,2\n", "mysql-tsv", MARIADB.format(99), ""),
        (b"a,b\nx,2\n", "postgres-csv", "psql: error: connection failed on line 1", ""),
    ],
)
def test_the_servers_words_and_the_files_line(tmp_path: Path, data: bytes, dialect: str, output: str, line: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, data, dialect, Ran(3, output))
    error = caught.value
    assert f"db: seed step 2 failed at {tmp_path / 'x.csv'}{line}: " in error.message
    assert error.exit_code == 1
    assert error.evidence is not None
    assert error.evidence.step == "seed 2 (csv x.csv), environment.yaml:7"
    assert error.evidence.exit_status == 3
    assert sorted(error.evidence.logs) == sorted(output.splitlines())


def test_the_servers_complaint_is_said_rather_than_its_context(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match='invalid input syntax for type integer: "x"'):
        load(tmp_path, b"a\nx\n", ran=Ran(1, POSTGRES.format(1)))
