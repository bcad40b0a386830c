from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from envctl.seeding.definers import without_definers
from envctl.seeding.restore import IN_FOLDER
from envctl.seeding.transactions import with_question
from tests.builders import FakeDeployment, feed, plan_with, step_of


def load(
    folder: Path, files: dict[str, bytes], dialect: str = "pg-archive", ran: CommandResult | None = None, owners: bool = True
) -> FakeDeployment:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    step = step_of("db", step={"restore": "x", "owners": owners}, files=tuple(folder / name for name in files), feed=feed(dialect))
    project = FakeDeployment(answers={("client", "-f", "-"): ran or CommandResult(0, "")})
    seed(step, Seeder(plan_with(project=folder), project, {}, folder))
    return project


def test_an_archive_is_streamed_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, {"x.dump": b"PGDMP\0\xff"}).fed == [b"PGDMP\0\xff"]
    assert load(tmp_path, {"x.dump.gz": gzip.compress(b"PGDMP\0\xff")}).fed == [b"PGDMP\0\xff"]


def test_a_folder_is_unpacked_where_the_server_is(tmp_path: Path) -> None:
    files = {"d/3001.dat.gz": b"x" * 1000, "d/toc.dat": b"PGDMP", "d/empty": b""}
    project = load(tmp_path, files)
    ((_, argv),) = project.executed
    assert argv == (*IN_FOLDER, "client", "-f", "-")
    with tarfile.open(fileobj=io.BytesIO(project.fed[0])) as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    assert found == {name.removeprefix("d/"): content for name, content in files.items()}


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ('pg_restore: error: could not execute query: ERROR:  role "shop_owner" does not exist\n', "with: {users: [shop_owner]}"),
        ("pg_restore: error: unsupported version (1.16) in file header\n", "use a `version:`"),
        ("pg_restore: error: input file appears to be a text format dump. Please use psql.\n", "`sql: FILE`"),
        ("pg_restore: error: input file does not appear to be a valid archive\n", "--format=custom"),
        ('pg_restore: error: could not execute query: ERROR:  extension "postgis" is not available\n', "has the extension postgis"),
        ("pg_restore: error: something else\n", "correct it"),
    ],
)
def test_advice_that_helps(tmp_path: Path, output: str, advice: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, {"x.dump": b"x"}, ran=CommandResult(1, output))
    assert caught.value.message.endswith(output.strip())
    assert caught.value.evidence is not None
    assert advice in caught.value.evidence.advice


def test_a_folder_without_a_table_of_contents(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match=r"no 'toc\.dat' in this folder"):
        load(tmp_path, {"d/1.dat": b"", "d/2.dat": b""})


DUMP = b"""\
/*!50013 DEFINER=`a``b`@`%` SQL SECURITY DEFINER */
CREATE DEFINER=`root`@`localhost` PROCEDURE p() SELECT 1;
INSERT INTO t VALUES ('CREATE DEFINER=`x`@`y`');
last"""


def _asked(dump: bytes) -> bytes:
    return b"".join(with_question([dump]))


def test_definers_are_left_out_and_data_stays(tmp_path: Path) -> None:
    expected = b"""\
/*!50013  SQL SECURITY DEFINER */
CREATE  PROCEDURE p() SELECT 1;
INSERT INTO t VALUES ('CREATE DEFINER=`x`@`y`');
last"""
    for size in (1, 7, 1000):
        assert b"".join(without_definers(DUMP[at : at + size] for at in range(0, len(DUMP), size))) == expected
    assert load(tmp_path, {"x.sql": DUMP}, "mysql-dump", owners=False).fed == [_asked(expected)]
    assert load(tmp_path, {"x.sql": DUMP}, "mysql-dump").fed == [_asked(DUMP)]


def test_the_line_of_a_dump_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match=r"x\.sql:3: ERROR 1146"):
        load(tmp_path, {"x.sql": DUMP}, "mysql-dump", CommandResult(1, "ERROR 1146 (42S02) at line 3: no table\n"))
