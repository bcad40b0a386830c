from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from envctl.engines import CommandResult, Execution
from envctl.errors import ServiceFailed
from envctl.seeding import PIECE, Seeder, seed
from envctl.seeding.csv.dialects import DIALECTS
from tests.builders import FakeDeployment, feed, plan_with, step_of
from tests.seeding.reference import READERS


def load(
    tmp_path: Path,
    data: bytes,
    dialect: str = "postgres-csv",
    ran: CommandResult | None = None,
    project: FakeDeployment | None = None,
    name: str = "x.csv",
) -> FakeDeployment:
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    step = step_of("db", 1, step={"csv": name, "into": "t"}, files=(path,), feed=feed(dialect))
    project = project or FakeDeployment(answers={("client", "-f", "-"): ran or CommandResult(0, "")})
    seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    return project


@pytest.mark.parametrize("dialect", READERS)
def test_a_large_file_is_fed_in_pieces(tmp_path: Path, dialect: str) -> None:
    """The file is sent neither as one piece nor row by row."""
    read: list[bytes] = []
    project = FakeDeployment()

    def execute(service: str, what: Execution) -> CommandResult:
        read.extend(what.stdin)
        return CommandResult(0, "")

    project.execute = execute  # type: ignore[method-assign]
    load(tmp_path, b"a\n" + (b"y" * 99 + b"\n") * 10_000, dialect, project=project)
    assert 1 < len(read) < 10
    assert b"".join(read) == (b"y" * 99 + b"\n") * 10_000


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


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a,b\n1,2\n1,2,3\n", 3),
        (b'a,b\n1,2\n1,"2\n', 3),
        (b'a,b\r\n1,2\n"x"y,2\n', 3),
        (b'a"x,b\n1,2\r\n', 1),
        (b"a,b\n" + b"1,2\n" * PIECE + b"1\n", PIECE + 2),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_sent(tmp_path: Path, dialect: str, name: str, data: bytes, line: int) -> None:
    project = FakeDeployment()
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, data, dialect, project=project, name=name)
    assert f"db: seed step 2 failed at {tmp_path / name}:{line}: " in caught.value.message
    assert project.executed == []


@pytest.mark.parametrize("dialect", READERS)
def test_a_file_that_cannot_be_read_to_its_end_is_refused_too(tmp_path: Path, dialect: str) -> None:
    project, path = FakeDeployment(), tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + bytes(range(48, 58)) * 1000)[:-9])
    step = step_of("db", step={"csv": "x.csv.gz", "into": "t"}, files=(path,), feed=feed(dialect))
    with pytest.raises(ServiceFailed, match=r"failed at .*x\.csv\.gz: it cannot be read: Compressed file ended before"):
        seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert project.executed == []


@pytest.mark.parametrize("data", [b"a,b\n1,2\n1,\0\n", b'a,b\n1,2\n"\0",2\n', b'a,b\n1,2\n1,"2\n\0"\n'])
def test_postgres_takes_no_nul(tmp_path: Path, data: bytes) -> None:
    """psql would silently drop the NUL byte and the rest of its line."""
    project = FakeDeployment()
    line = data[: data.index(b"\0")].count(b"\n") + 1
    with pytest.raises(ServiceFailed, match=rf"x\.csv:{line}: a NUL byte"):
        load(tmp_path, data, "postgres-csv", project=project)
    assert project.executed == []
    assert READERS["mysql-tsv"](load(tmp_path, data, "mysql-tsv").fed[0])[0] == [b"1", b"2"]


@pytest.mark.parametrize("dialect", READERS)
def test_a_file_that_changes_while_it_is_sent_spoils_what_was_sent(tmp_path: Path, dialect: str) -> None:
    """The server would commit an input that simply ends, so an invalid piece must follow."""
    sent: list[bytes] = []

    def execute(service: str, what: Execution) -> CommandResult:
        (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n3\n")
        sent.extend(what.stdin)
        return CommandResult(0, "")

    project = FakeDeployment()
    project.execute = execute  # type: ignore[method-assign]
    with pytest.raises(ServiceFailed, match=r"x\.csv:3: 1 fields where the header has 2"):
        load(tmp_path, b"a,b\n1,2\n3,4\n", dialect, project=project)
    assert sent[-1] == DIALECTS[dialect].spoil


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, dialect: str, name: str) -> None:
    def execute(service: str, what: Execution) -> CommandResult:
        assert sum(map(len, what.stdin)) > 20_000_000
        return CommandResult(0, "")

    project = FakeDeployment()
    project.execute = execute  # type: ignore[method-assign]
    path = tmp_path / name
    with gzip.open(path, "wb", 1) if name.endswith(".gz") else path.open("wb") as stream:
        stream.write(b"a,b\r\n")
        for _ in range(100):
            stream.write((b'1,"' + b"some, text" * 50 + b'"\r\n,x\r\n') * 400)
    step = step_of("db", step={"csv": name, "into": "t"}, files=(path,), feed=feed(dialect))
    tracemalloc.start()
    try:
        seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 12 * PIECE
    finally:
        tracemalloc.stop()


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
        (b'a,b\n1,"2\r\n2"\nx,2\n', "postgres-csv", POSTGRES.format(3), ":4"),
        (b'a,b\r\n1,2\r\n1,"2\r\n2"\r\nx,2\r\n', "postgres-csv", POSTGRES.format(4), ":5"),
        (b"a,b\n\n1,2\n\nx,2\n", "postgres-csv", POSTGRES.format(2), ":5"),
        (b'a,b\n1,"2\n2"\nx,2\n', "mysql-tsv", MARIADB.format(2), ":4"),
        (b"a,b\nx,2\n", "mysql-tsv", MARIADB.format(99), ""),
        (b"a,b\nx,2\n", "postgres-csv", "psql: error: connection failed on line 1", ""),
    ],
)
def test_the_servers_words_and_the_files_line(tmp_path: Path, data: bytes, dialect: str, output: str, line: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, data, dialect, CommandResult(3, output))
    error = caught.value
    assert f"db: seed step 2 failed at {tmp_path / 'x.csv'}{line}: " in error.message
    assert error.exit_code == 1
    assert error.evidence is not None
    assert error.evidence.step == "seed 2 (csv x.csv), environment.yaml:7"
    assert error.evidence.exit_status == 3
    assert error.evidence.logs == tuple(output.splitlines())


def test_the_servers_complaint_is_said_rather_than_its_context(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match='invalid input syntax for type integer: "x"'):
        load(tmp_path, b"a\nx\n", ran=CommandResult(1, POSTGRES.format(1)))
