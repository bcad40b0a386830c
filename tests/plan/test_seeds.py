from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import DefinitionError
from envctl.files import packed as packed_files
from envctl.files.reading import open_file
from envctl.instance.allocation import Allocation
from envctl.plan import seed_hashes
from envctl.plan.make import make_plan
from envctl.plan.model import Plan, Step
from envctl.plan.seeds import header
from tests.builders import environment_of, plan_of, setting_of

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
    assert feed.command[feed.command.index("-c") + 1] == 'COPY "public"."products" ("id", "name", "x,y") FROM STDIN WITH (FORMAT csv)'
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
    assert [number for number in range(4) if before[number] != after[number]] == list(range(step, 4)), "a step builds on those before it"


def hashes(folder: Path, seed: str, files: Iterable[str], service: str = "kind: postgres", **changes: Any) -> list[str]:
    """Return the hashes of the seed steps in a new project with *files*, which all have the same content."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    text = f"services: {{db: {{{service}, seed: [{seed}]}}}}"
    return [step.hash for step in steps(plan_of(folder, text, dict.fromkeys(files, "same;"), **changes))]


FOLDER, INPUTS = "{sql: data}", "{command: x, in: server, inputs: [data/**]}"


@pytest.mark.parametrize(
    ("seed", "one", "other"),
    [
        (FOLDER, ["data/1_base.sql", "data/2_more.sql"], ["data/1_base.sql", "data/1_base2.sql"]),
        (INPUTS, ["data/1_base/x", "data/2_more/x"], ["data/1_base/x", "data/1_base2/x"]),
        (INPUTS, ["data/tenant_a/x.csv"], ["data/tenant_b/x.csv"]),
        (INPUTS, ["data/a/b"], ["data/a", "data/b"]),
        (FOLDER, ["data/1.sql"], ["data/2.sql"]),
        (f"{FOLDER}, {{sql: more}}", ["data/1.sql", "data/2.sql", "more/3.sql"], ["data/1.sql", "more/2.sql", "more/3.sql"]),
        ("{sql: a}, {sql: b}", ["a/1.sql", "b/2.sql"], ["b/1.sql", "a/2.sql"]),
    ],
    ids=["another order", "folders in another order", "another folder", "deeper", "renamed", "moved between steps", "exchanged"],
)
def test_where_a_file_lies_counts(tmp_path: Path, seed: str, one: list[str], other: list[str]) -> None:
    assert hashes(tmp_path, seed, one)[-1] != hashes(tmp_path, seed, other)[-1]


def test_an_input_is_no_file_that_is_fed(tmp_path: Path) -> None:
    files = ["a/1.sql", "a/2.sql"]
    assert hashes(tmp_path, "{sql: a/1.sql, inputs: [a/2.sql]}", files) != hashes(tmp_path, "{sql: a/2.sql, inputs: [a/1.sql]}", files)


@pytest.mark.parametrize(
    "service",
    [
        'kind: postgres, version: "16"',
        "kind: postgres, image: 'postgis/postgis:17-3.5'",
        "kind: postgres, with: {databases: [other]}",
        "kind: postgres, with: {databases: [app, more]}",
        "kind: postgres, with: {databases: {app: {owner: x}}, users: [x]}",
        "kind: postgres, with: {settings: {max_connections: 7}}",
        "kind: mariadb",
    ],
)
def test_another_server_makes_other_data(tmp_path: Path, service: str) -> None:
    assert hashes(tmp_path, FOLDER, ["data/1.sql"], service) != hashes(tmp_path, FOLDER, ["data/1.sql"])


def test_a_variable_in_a_command_counts(tmp_path: Path) -> None:
    """The text of the command stays the same; only the variable's value changes."""
    command = "'${var.n}' ${var.s} ${cache.url}"
    text = "variables: {n: 1, s: {secret: true, default: hush}}\n" + SERVICES.replace("'my tool.py' $HOME", command)
    found = []
    for given in ({}, {"n": "2"}, {"s": "other"}):
        environment = environment_of(tmp_path, text, FILES, overrides=given)
        found.append(steps(make_plan(environment, setting_of(environment)))[3].hash)
    assert found[0] != found[1]
    assert found[0] == found[2], "a secret is in no hash"


def test_the_database_of_a_step_counts(tmp_path: Path) -> None:
    service, files = "kind: postgres, with: {databases: [a, b]}", ["data/1.sql"]
    one, other = (hashes(tmp_path, f"{{sql: data, database: {name}}}", files, service) for name in "ab")
    assert one != other
    assert hashes(tmp_path, FOLDER, files, service) != hashes(tmp_path, FOLDER, files, service.replace("a, b", "b, a")), "the first one"


@pytest.mark.parametrize(
    "service",
    [
        "kind: postgres, with: {password: one}",
        "kind: postgres, with: {username: somebody, password: other}",
        "kind: postgres, port: 5433",
    ],
)
def test_credentials_and_ports_do_not_count(tmp_path: Path, service: str) -> None:
    assert hashes(tmp_path, FOLDER, ["data/1.sql"], service) == hashes(tmp_path, FOLDER, ["data/1.sql"])


def test_passwords_of_users_do_not_count(tmp_path: Path) -> None:
    one, other = (f"kind: postgres, with: {{users: {{x: {{password: {word}}}}}}}" for word in ("one", "other"))
    assert hashes(tmp_path, FOLDER, ["data/1.sql"], one) == hashes(tmp_path, FOLDER, ["data/1.sql"], other)


def test_secret_variables_do_not_count(tmp_path: Path) -> None:
    text = "variables: {key: {secret: true, default: none}}\n" + SERVICES.replace(
        "[shop, audit]}", "[shop, audit], settings: {a: '${var.key}'}}"
    )
    found = []
    for word in ("secret-one", "secret-other"):
        environment = environment_of(tmp_path, text, FILES, overrides={"key": word})
        found.append([step.hash for step in steps(make_plan(environment, setting_of(environment)))])
    assert found[0] == found[1]


def test_another_instance_on_other_ports_has_the_same(tmp_path: Path) -> None:
    files, service = ["data/1.sql"], "kind: postgres, with: {settings: {application_name: '${self.host}:${self.outside.port}'}}"
    one = hashes(tmp_path, FOLDER, files, service, name="one", allocation=Allocation({("db", "postgres"): 1}))
    assert one == hashes(tmp_path, FOLDER, files, service, id="x-1", allocation=Allocation({("db", "postgres"): 2}))


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
    assert header(path, path.parent) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "'x.csv' has no header"),
        ("a,,c\n1,2,3\n", "'x.csv': column 2 of the header has no name"),
        ("\ufeffa;b\r\n1;2,5\r\n", "'x.csv': `;` separates its columns, where a comma is expected"),
        ("a\tb\n1\t2\n", "'x.csv': a tab separates its columns, where a comma is expected"),
        ("a,b, a\n1,2,3\n", "'x.csv' has the column 'a' twice"),
    ],
)
def test_a_header_that_names_no_columns(tmp_path: Path, content: str, words: str) -> None:
    """If two columns have the same name, MariaDB silently uses the last one."""
    with pytest.raises(DefinitionError, match=r"environment.yaml:[12]: services.db.seed.0.csv: " + words):
        plan_of(tmp_path, "services: {db: {kind: mariadb, seed: [{csv: x.csv, into: t}]}}", {"x.csv": content})


ROWS = "{rows: {t: [{a: 1, b: 2}], u: [{a: 1}]}}"
GENERATED = "{generate: {table: t, count: 5, random: 7, columns: {a: name, b: {provider: pyint, max_value: 5}}}}"
REQUESTS = "{http: [{path: /a, json: {x: 1}}, {path: /b}], in: api}"


@pytest.mark.parametrize(
    ("seed", "changes"),
    [
        (ROWS, {"a: 1, b: 2": "b: 2, a: 1", "b: 2": "b: 3", "t: [": "v: [", "{a: 1}]}": "{a: 1}, {a: 2}]}"}),
        (ROWS, {"u: [{a: 1}]": 'u: [{a: "1"}]'}),
        ("{rows: {t: [{a: 1.10}]}}", {"1.10": "1.1"}),
        ("{rows: {t: [{a: 007}]}}", {"007": "7"}),
        ("{rows: {t: [{a: 1}], u: [{a: 1}]}}", {"t: [{a: 1}], u: [{a: 1}]": "u: [{a: 1}], t: [{a: 1}]"}),
        (GENERATED, {"random: 7": "random: 8", "count: 5": "count: 6", "table: t": "table: u", "a: name": "a: email"}),
        (GENERATED, {"max_value: 5": "max_value: 6"}),
        ("{generate: {table: t, count: 5, columns: {a: name, b: email}}}", {"a: name, b: email": "b: email, a: name"}),
        ("{restore: data/x.dump}", {"data/x.dump": "data/x.dump, owners: false"}),
        ("{rows: data/x.jsonl, into: t}", {"into: t": "into: u"}),
    ],
)  # fmt: skip
def test_every_word_of_a_step_counts(tmp_path: Path, seed: str, changes: dict[str, str]) -> None:
    files = ["data/x.dump", "data/x.jsonl"]
    found = [hashes(tmp_path, seed, files), *(hashes(tmp_path, seed.replace(old, new, 1), files) for old, new in changes.items())]
    assert len(set(map(tuple, found))) == 1 + len(changes)


def changed(folder: Path, services: str, files: dict[str, str | bytes], again: dict[str, str | bytes]) -> bool:
    """Return whether the hash of the first service's last step differs between the two sets of files."""
    found = []
    for these in (files, again):
        plan = plan_of(Path(tempfile.mkdtemp(dir=folder)), f"services: {{{services}}}", these)
        found.append(next(iter(plan.services.values())).steps[-1].hash)
    return found[0] != found[1]


@pytest.mark.parametrize(
    ("kind", "seed", "files"),
    [
        ("postgres", "{rows: data/x.yaml}", ["data/x.yaml"]),
        ("postgres", "{restore: data/x.dump}", ["data/x.dump"]),
        ("postgres", "{restore: data/dump}", ["data/dump/toc.dat", "data/dump/1.dat"]),
        ("valkey", "{keys: data/x.json}", ["data/x.json"]),
        ("nats", "{messages: data/x.jsonl}", ["data/x.jsonl"]),
        ("stub", "{http: data/x.http}", ["data/x.http"]),
        ("s3, with: {buckets: [bucket]}", "{objects: data/files, into: bucket}", ["data/files/a/b.txt", "data/files/c"]),
        ("mariadb", "{sql: data/x.sql.zst}", ["data/x.sql.zst"]),
    ],
)
def test_every_byte_and_name_of_a_file_counts(tmp_path: Path, kind: str, seed: str, files: list[str]) -> None:
    services, given = f"s: {{kind: {kind}, seed: [{seed}]}}", dict.fromkeys(files, "a,b")
    assert not changed(tmp_path, services, {**given}, {**given})
    for name in files:
        assert changed(tmp_path, services, {**given}, {**given, name: "a,c"})
    if len(files) > 1:
        assert changed(tmp_path, services, {**given}, {**dict.fromkeys(files[1:], "a,b"), files[0] + "x": "a,b"})


def test_the_files_in_the_server_count(tmp_path: Path) -> None:
    services = "s: {kind: postgres, files: {/docker-entrypoint-initdb.d/9.sql: init.sql}, seed: [{command: x, in: server}]}"
    assert not changed(tmp_path, services, {"init.sql": "a"}, {"init.sql": "a"})
    assert changed(tmp_path, services, {"init.sql": "a"}, {"init.sql": "b"})
    routes = "s: {kind: stub, with: {routes: r.json}, seed: [{http: {path: /}}]}"
    mapping = '{{"request": {{"url": "/{}"}}, "response": {{"status": 200}}}}'
    assert changed(tmp_path, routes, {"r.json": mapping.format("a")}, {"r.json": mapping.format("b")})


@pytest.mark.parametrize(
    "other",
    [
        "env: {TZ: UTC}",
        "image: 'postgres:17@sha256:" + "0" * 64 + "'",
        "command: postgres -c x=y",
        "with: {databases: {app: {schemas: [a]}}}",
    ],
)
def test_the_server_counts(tmp_path: Path, other: str) -> None:
    assert hashes(tmp_path, FOLDER, ["data/1.sql"], f"kind: postgres, {other}") != hashes(tmp_path, FOLDER, ["data/1.sql"])


def test_the_projects_own_kind_counts(tmp_path: Path) -> None:
    own: dict[str, str | bytes] = {"templates/kinds/postgres.yaml": "extends: postgres\nenv: {LC_ALL: C}\n", "data/1.sql": ""}
    services = "s: {kind: postgres, seed: [{sql: data}]}"
    assert changed(tmp_path, services, {"data/1.sql": ""}, own)


def test_the_version_of_faker_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(tmp_path, f"{GENERATED}, {ROWS}", [])
    rows = hashes(tmp_path, ROWS, [])
    monkeypatch.setattr("envctl.plan.seeds.faker_version", lambda: "0.1")
    after = hashes(tmp_path, f"{GENERATED}, {ROWS}", [])
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False], "and what builds on it"
    assert hashes(tmp_path, ROWS, []) == rows


def test_without_faker_nothing_is_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.plan.seeds.faker_version", lambda: None)
    with pytest.raises(DefinitionError, match=r"needs the package Faker; `pip install envctl-testing\[seeds\]`"):
        hashes(tmp_path, GENERATED, [])


def test_what_requests_ask_counts(tmp_path: Path) -> None:
    for image in ("x:1", "x:2"):
        services = f"db: {{kind: valkey, seed: [{REQUESTS}]}}, api: {{kind: api, image: '{image}', port: 80}}"
        plan = plan_of(Path(tempfile.mkdtemp(dir=tmp_path)), f"services: {{{services}}}")
        step = plan.services["db"].steps[0]
        assert step.needs == {"api": "ready"}
        (tmp_path / image.replace(":", "")).write_text(step.hash)
    assert (tmp_path / "x1").read_text() != (tmp_path / "x2").read_text()


def test_data_in_a_step_may_refer_to_services(tmp_path: Path) -> None:
    row = "{a: '${self.databases.app.name}', b: '${cache.url}'}"
    text = f"services: {{db: {{kind: postgres, seed: [{{rows: {{t: [{row}]}}}}]}}, cache: {{kind: valkey}}}}"
    (found,) = steps(plan_of(tmp_path, text))[0].inline["t"]
    assert found["a"] == "app"
    assert "@cache:6379" in found["b"], "as the server itself would be told"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("create table t (n int);".encode("utf-16"), "'1.sql' is UTF-16; save it as UTF-8"),
        (b"PGDMP\x01\x0e\x00", "'1.sql' is an archive of pg_dump; `restore: FILE`"),
    ],
)
@pytest.mark.parametrize("named", ["seeds", "seeds/1.sql"])
def test_what_is_no_sql_is_told_before_anything_starts(tmp_path: Path, content: bytes, words: str, named: str) -> None:
    with pytest.raises(DefinitionError, match=r"environment.yaml:[12]: services.db.seed.0.sql: " + words):
        plan_of(tmp_path, f"services: {{db: {{kind: postgres, seed: [{{sql: {named}}}]}}}}", {"seeds/1.sql": content})


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_sql_is_opened_once_to_be_hashed_and_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str) -> None:
    opened = list[str]()

    def counted(path: Path, root: Path) -> BufferedReader:
        opened.append(path.name)
        return open_file(path, root)

    monkeypatch.setattr(seed_hashes, "open_file", counted)
    monkeypatch.setattr(packed_files, "open_file", counted)
    files = {"a.sql": b"select 1;", f"b.sql{packed}": b"not packed at all"}  # compression errors are reported when the file is loaded
    seeds = ", ".join(f"{{sql: {name}}}" for name in files)
    plan = plan_of(tmp_path, f"services: {{db: {{kind: postgres, seed: [{seeds}]}}}}", files)
    assert len(steps(plan)) == 2
    assert opened == list(files)


def test_what_is_no_sql_is_told_of_what_is_packed(tmp_path: Path) -> None:
    content = gzip.compress("create table t (n int);".encode("utf-16"))
    with pytest.raises(DefinitionError, match=r"'1.sql.gz' is UTF-16"):
        plan_of(tmp_path, "services: {db: {kind: postgres, seed: [{sql: 1.sql.gz}]}}", {"1.sql.gz": content})
