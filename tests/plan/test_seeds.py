from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from envctl.plan.model import Plan, Step
from envctl.plan.seeds import header
from tests.builders import plan_of

SERVICES = """
services:
  db:
    kind: postgres
    with: {databases: [shop, audit]}
    seed:
      - sql: schema
      - csv: products.csv
        into: public.products
      - csv: more.csv.gz
        into: products
        database: audit
      - command: python 'my tool.py' $HOME
        in: host
        inputs: [migrations/**, "*.ini"]
        needs: [cache]
  cache: {kind: valkey}
"""
FILES: dict[str, str | bytes] = {
    "schema/2.sql": "b;",
    "schema/1.sql": "a;",
    "schema/3.sql.gz": gzip.compress(b"c;"),
    "schema/notes.txt": "no",
    "products.csv": '\ufeffid, name ,"x,y"\n1,a,b\n',
    "more.csv.gz": gzip.compress(b"id\n1\n"),
    "migrations/a/1.py": "1",
    "migrations/b.py": "2",
    "tool.ini": "",
}


def steps(plan: Plan) -> tuple[Step, ...]:
    return plan.services["db"].steps


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, SERVICES, FILES)


def test_a_folder_of_sql_is_its_files_in_the_order_of_names(plan: Plan) -> None:
    assert [path.name for path in steps(plan)[0].files] == ["1.sql", "2.sql", "3.sql.gz"]


def test_a_feed_is_the_servers_own_client(plan: Plan) -> None:
    feed = steps(plan)[1].feed
    assert feed is not None
    assert feed.dialect == "postgres-csv"
    assert feed.command[-1] == 'COPY "public"."products" ("id", "name", "x,y") FROM STDIN WITH (FORMAT csv)'
    assert feed.env["PGDATABASE"] == "shop"
    assert feed.env["PGPASSWORD"] == "db-password"


def test_a_step_picks_another_database(plan: Plan) -> None:
    feed = steps(plan)[2].feed
    assert feed is not None
    assert feed.env["PGDATABASE"] == "audit"


def test_a_command_is_words_and_has_no_feed(plan: Plan) -> None:
    step = steps(plan)[3]
    assert step.command == ("python", "my tool.py", "$HOME")
    assert step.feed is None
    assert step.needs == {"cache": "ready"}


def test_a_step_knows_its_title_and_its_line(plan: Plan, tmp_path: Path) -> None:
    assert [step.title for step in steps(plan)] == ["sql schema", "csv products.csv", "csv more.csv.gz", "command python my tool.py $HOME"]
    assert [step.where.rpartition(":")[2] for step in steps(plan)] == ["8", "9", "11", "14"]
    assert [step.number for step in steps(plan)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("file", "step"),
    [("schema/1.sql", 0), ("products.csv", 1), ("more.csv.gz", 2), ("migrations/a/1.py", 3), ("migrations/new.py", 3), ("other.ini", 3)],
)
def test_a_hash_is_of_everything_the_result_depends_on(tmp_path: Path, file: str, step: int) -> None:
    before = [each.hash for each in steps(plan_of(tmp_path, SERVICES, FILES))]
    changed = gzip.compress(b"id\n2\n") if file.endswith(".gz") else b"changed"
    after = [each.hash for each in steps(plan_of(tmp_path, SERVICES, {**FILES, file: changed}))]
    assert [number for number in range(4) if before[number] != after[number]] == [step]


def test_a_hash_is_not_of_place_needs_or_passwords(tmp_path: Path) -> None:
    found = []
    for folder, text in (("a", SERVICES), ("b", SERVICES.replace("needs: [cache]", "needs: {cache: started}"))):
        (tmp_path / folder).mkdir()
        changed = plan_of(tmp_path / folder, text, FILES, name=folder, secret=lambda service, parameter, folder=folder: folder)
        found.append([step.hash for step in steps(changed)])
    assert found[0] == found[1]


def test_paths_of_an_included_file_are_relative_to_it(tmp_path: Path) -> None:
    text = "services: {db: {kind: postgres, seed: [{csv: rows.csv, into: t}, {command: x, in: server, inputs: [in/**]}]}}"
    files = {"shared/db.yaml": text, "shared/rows.csv": "a\n1\n", "shared/in/1": "1", "in/1": "other"}
    before = steps(plan_of(tmp_path, "include: [shared/db.yaml]", files))
    assert before[0].files == (tmp_path / "shared/rows.csv",)
    (tmp_path / "shared/in/1").write_text("2")
    after = steps(plan_of(tmp_path, "include: [shared/db.yaml]"))
    assert [step.hash == other.hash for step, other in zip(before, after, strict=True)] == [True, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"id,name\n1,2\n", ["id", "name"]),
        (b"\xef\xbb\xbfid\r\n", ["id"]),
        (b'"a ""b""","c\nd",e', ['a "b"', "c\nd", "e"]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_the_header_of_a_file(tmp_path: Path, name: str, content: bytes, expected: list[str]) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert header(path) == expected
