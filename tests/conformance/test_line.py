"""Tests of the whole sequence on each engine: start, ready, seeded, outputs, removal."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
import redis

from envctl.instance.folder import state_home
from tests.support import ENGINES, REQUIRED, Project, engine_here, missing

DB = """
services:
  db:
    kind: postgres
    with: {databases: [app, audit]}
    seed:
      - sql: seeds/schema.sql
      - csv: seeds/people.csv
        into: people
outputs:
  URL: ${db.url}
  HOST: ${db.host}
  PORT: ${db.port}
  USER: ${db.username}
  PASSWORD: ${db.password}
  QUOTED: 'a "b" $c'
"""
SCHEMA = """
create table people (id int primary key, name text not null, note text);
create function twice(n int) returns int language plpgsql as $$ begin
  return n * 2; -- a semicolon; inside
end $$;
"""
PEOPLE = [["1", "Zoë, the first", ""], ["2", 'says "hi"', "two\nlines"], ["3", "naïve", "plain"]]


def seeded(project: Project) -> Project:
    project.environment("env", DB)
    project.write("environments/seeds/schema.sql", SCHEMA)
    path = project.write("environments/seeds/people.csv", "")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "note"])
        writer.writerows(PEOPLE)
        stream.write('4,"",\n')
    return project


def query(outputs: dict[str, str], sql: str, database: str = "app") -> Any:
    with pg8000.native.Connection(
        outputs["USER"], host=outputs["HOST"], port=int(outputs["PORT"]), password=outputs["PASSWORD"], database=database
    ) as connection:
        return connection.run(sql)


@dataclass
class Line:
    """The instance `env`, which all tests of the module share; a test leaves nothing in it that affects the next one.

    Attributes:
        shown: The latest JSON of `up --json`.
    """

    project: Project
    shown: dict[str, Any]

    @property
    def outputs(self) -> dict[str, str]:
        return dict(self.shown["outputs"])


@pytest.fixture(scope="module", params=ENGINES)
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    project = Project(tmp_path_factory.mktemp("line") / "envctl-tests", engine)
    project.write("envctl.toml", "")
    yield Line(project, seeded(project).envctl("up", "env", "--json").ok().json)
    project.down()


def test_an_environment_comes_up_seeded(line: Line) -> None:
    assert line.shown["state"] == "seeded"
    assert line.shown["engine"] == line.project.engine
    assert line.shown["services"]["db"]["ready_ms"] >= 0
    rows = query(line.outputs, "select id, name, note from people order by id")
    assert rows[:3] == [[1, "Zoë, the first", None], [2, 'says "hi"', "two\nlines"], [3, "naïve", "plain"]]
    assert rows[3] == [4, "", None], "quoted empty is text, unquoted empty is NULL"
    assert query(line.outputs, "select twice(21)") == [[42]]
    assert query(line.outputs, "select current_database()", "audit") == [["audit"]]


@pytest.mark.parametrize("format", ["dotenv", "shell", "json", "github", "properties"])
def test_env_prints_the_outputs_again(line: Line, format: str) -> None:
    text = line.project.envctl("env", "env", "--format", format).ok().out
    assert line.outputs["PORT"] in text
    if format == "json":
        assert json.loads(text)["QUOTED"] == 'a "b" $c'


def test_up_again_changes_nothing(line: Line) -> None:
    query(line.outputs, "insert into people values (9, 'kept')")
    second = line.project.envctl("up", "env", "--json", "--ttl", "30h").ok().json
    assert second["outputs"] == line.outputs
    assert second["expires"] > (line.shown["expires"] or "")
    assert query(line.outputs, "select name from people where id = 9") == [["kept"]]


def test_restart_keeps_port_and_data(line: Line) -> None:
    query(line.outputs, "insert into people values (10, 'kept')")
    line.project.envctl("restart", "env", "db").ok()
    assert query(line.outputs, "select name from people where id = 10") == [["kept"]]
    shown = line.project.envctl("status", "env", "--json").ok().json
    assert shown["services"]["db"]["endpoints"] == line.shown["services"]["db"]["endpoints"]


def test_reset_brings_the_seeded_state_back_under_the_same_address(line: Line) -> None:
    query(line.outputs, "delete from people")
    line.project.envctl("reset", "env").ok()
    assert query(line.outputs, "select count(*) from people") == [[4]]


def test_a_changed_seed_is_refused_and_reset_takes_it(line: Line) -> None:
    line.project.write("environments/seeds/schema.sql", SCHEMA + "create table more ();\n")
    refused = line.project.envctl("up", "env")
    assert refused.status == 2
    assert "schema.sql" in refused.err
    assert "envctl reset env db" in refused.err
    assert "--fresh" in refused.err
    assert query(line.outputs, "select count(*) from people") == [[4]], "what was up stays up"
    line.project.envctl("reset", "env", "db").ok()
    assert query(line.outputs, "select count(*) from more") == [[0]]
    line.project.envctl("up", "env").ok()


def test_fresh_starts_over(line: Line) -> None:
    query(line.outputs, "insert into people values (11, 'lost')")
    before = line.outputs
    line.shown = line.project.envctl("up", "env", "--json", "--fresh").ok().json
    assert line.outputs["PASSWORD"] != before["PASSWORD"]
    assert query(line.outputs, "select count(*) from people") == [[4]]


def test_it_goes(line: Line) -> None:
    """Remove the shared instance; this test must be the last one that uses it."""
    line.project.envctl("down", "env").ok()
    assert line.shown["id"] not in [seen.id for seen in engine_here(line.project.engine).list()]
    assert not (state_home(os.environ) / line.shown["id"]).exists()
    assert line.project.envctl("down", "env").ok().err.startswith("nothing named 'env' is up")


CACHE = """
services:
  cache: {kind: valkey, seed: [{command: python3 seeds/fill.py}]}
outputs: {CACHE: "${cache.url}"}
"""
FILL = """
import os, re, socket
user, password, host, port = re.match(r"redis://(.*):(.*)@(.*):(\\d+)/0", os.environ["CACHE"]).groups()
with socket.create_connection((host, int(port))) as server:
    for command in (f"auth {user} {password}", "incr seeded"):
        server.sendall(command.encode() + b"\\r\\n")
        assert server.recv(100)[:1] in (b"+", b":")
"""


@pytest.mark.parametrize("durable", [False, True])
def test_a_server_that_keeps_nothing_is_seeded_again_when_it_starts_again(on: Project, durable: bool) -> None:
    on.environment("env", CACHE.replace("valkey,", f"valkey, with: {{durable: {str(durable).lower()}}},"))
    on.write("environments/seeds/fill.py", FILL)
    shown = on.envctl("up", "env", "--json").ok().json
    with redis.Redis.from_url(shown["outputs"]["CACHE"]) as client:
        client.set("mine", "1")
        on.envctl("up", "env").ok()
        assert (client.get("seeded"), client.get("mine")) == (b"1", b"1"), "it was not started again"
    on.envctl("restart", "env", "cache").ok()
    with redis.Redis.from_url(shown["outputs"]["CACHE"]) as client:
        assert (client.get("seeded"), client.get("mine")) == (b"1", b"1" if durable else None)


def test_two_instances_side_by_side(on: Project) -> None:
    first = seeded(on).envctl("up", "env", "--json", "--name", "one").ok().json
    second = on.envctl("up", "env", "--json", "--name", "two").ok().json
    assert first["outputs"]["PORT"] != second["outputs"]["PORT"]
    query(first["outputs"], "delete from people")
    assert query(second["outputs"], "select count(*) from people") == [[4]]
    on.envctl("down", "one").ok()
    assert query(second["outputs"], "select count(*) from people") == [[4]]
    assert [row["name"] for row in on.envctl("list", "--json").ok().json] == ["two"]


def test_down_finds_it_after_the_state_was_deleted_by_hand(on: Project) -> None:
    shown = seeded(on).envctl("up", "env", "--json").ok().json
    shutil.rmtree(state_home(os.environ) / shown["id"])
    listed = on.envctl("list", "--json").ok().json
    assert [(row["id"], row["environment"]) for row in listed] == [(shown["id"], "env")]
    on.envctl("down", "env").ok()
    assert shown["id"] not in [seen.id for seen in engine_here(on.engine).list()]


def test_a_failing_seed_says_file_line_and_the_servers_words(on: Project) -> None:
    seeded(on).write("environments/seeds/schema.sql", "create table a ();\nselect 1;\nselect nothing from nowhere;\n")
    failed = on.envctl("up", "env")
    assert failed.status == 1
    assert "schema.sql:3" in failed.err
    assert 'relation "nowhere" does not exist' in failed.err
    assert on.envctl("list", "--json").ok().json == []


def test_a_bad_record_of_a_csv_is_named(on: Project) -> None:
    seeded(on).write("environments/seeds/people.csv", "id,name,note\n1,a,b\n2,c\n")
    failed = on.envctl("up", "env")
    assert failed.status == 1
    assert "people.csv:3" in failed.err


def test_large_and_compressed_seeds(on: Project, tmp_path: Path) -> None:
    import gzip

    seeded(on)
    lines = "".join(f"insert into people values ({number}, 'x', '{'y' * 200}');\n" for number in range(100, 20100))
    path = on.folder / "environments/seeds/many.sql.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    text = (on.folder / "environments/env.yaml").read_text().replace("into: people", "into: people\n      - sql: seeds/many.sql.gz")
    (on.folder / "environments/env.yaml").write_text(text)
    shown = on.envctl("up", "env", "--json").ok().json
    assert query(shown["outputs"], "select count(*) from people") == [[20004]]
