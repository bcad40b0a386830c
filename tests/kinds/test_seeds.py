"""Seeds of MariaDB, and seed programs in a service's image, in the server, and on this machine."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from typing import Any

import pymysql
import pytest

from envctl.definition.kinds import load_kinds
from tests.kinds.support import Running, Url, bring_up, why_not_here
from tests.support import Done, Project

SCHEMA = """\
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, note TEXT, born DATE, raw VARBINARY(40));
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, who VARCHAR(100), what TEXT);
-- a comment; with a semicolon, it's fine
DELIMITER //
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC
BEGIN
  DECLARE r INT; SET r = n * 2; -- inside; it ends nothing
  RETURN r;
END //
CREATE TRIGGER named BEFORE INSERT ON people FOR EACH ROW BEGIN SET NEW.name = TRIM(NEW.name); END //
DELIMITER ;
CREATE SEQUENCE up_by_one;
CREATE SEQUENCE `down two` START WITH -1 INCREMENT BY -2;
CREATE TABLE ids (id BIGINT DEFAULT nextval(up_by_one) PRIMARY KEY, `o``x` INT DEFAULT nextval(`down two`), n INT AUTO_INCREMENT, KEY (n));
INSERT INTO log (who, what) VALUES ('sql', 'a ''quote''; a \\\\ and ü\\n'), ('sql', '${x} $HOME');
"""
ROWS: list[tuple[Any, ...]] = [
    (1, "Zoë, the first", 'says "hi"', "2001-02-03", "plain"),
    (2, "two", "two\nlines\r\nand\ta tab", "", "C:\\temp\\new"),
    (3, "back", "\\N", "", "\\"),
    (4, "紫式部", "'; DROP TABLE people; --", "", "%s ${x} $HOME"),
]
FILL = """
import os, sys
from urllib.parse import unquote, urlsplit
import pymysql
url = urlsplit(os.environ["DB"])
with pymysql.connect(host=url.hostname, port=url.port, user=unquote(url.username), password=unquote(url.password),
                     database=url.path[1:], autocommit=True) as connection, connection.cursor() as cursor:
    cursor.execute("insert into log (who, what) values ('here', %s)", (" ".join(sys.argv[1:]) + " " + os.path.basename(os.getcwd()),))
"""
TOOL = """\
#!/bin/sh
MYSQL_PWD="$PASSWORD" mariadb --skip-ssl -h "$HOST" -P "$PORT" -u "$USER_NAME" app -e "insert into log (who, what) values ('tool', '$1')"
"""
SERVER = "\"insert into log (who, what) values ('server', 'x')\""
SERVICES = f"""
services:
  db:
    kind: mariadb
    with: {{databases: [app, other]}}
    seed:
      - sql: seeds/schema.sql
      - csv: seeds/people.csv
        into: people
      - csv: seeds/ids.csv
        into: app.ids
      - csv: seeds/other.csv.gz
        into: app.log
        database: other
      - sql: seeds/steps
        database: other
      - command: >-
          sh -c 'MYSQL_PWD="$ENVCTL_PASSWORD" mariadb --no-defaults --skip-ssl -h127.0.0.1 -P${{self.port}}
          -u"$ENVCTL_USERNAME" app -e "$0"' {SERVER}
        in: server
      - command: [./tool.sh, "it is ${{self.databases.app.name}}"]
        in: app
        inputs: [tool/**, "seeds/*.sql"]
      - command: [{json.dumps(sys.executable)}, seeds/fill.py, "${{self.port}}", a b]
        inputs: seeds/fill.py
  app:
    build: tool
    run: [sh, -c, 'echo up; exec sleep 600']
    stop: 0s
    env: {{HOST: "${{db.host}}", PORT: "${{db.port}}", PASSWORD: "${{db.password}}", USER_NAME: "${{db.username}}"}}
"""
OUTPUTS = {"DB": "${db.url}"}


def write(home: Project) -> None:
    home.write("environments/seeds/schema.sql", SCHEMA)
    path = home.write("environments/seeds/people.csv", "")
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "note", "born", "raw"])
        writer.writerows(ROWS)
        stream.write('5," empty ","",,""\r\n6,null,,,\r\n')
    home.write("environments/seeds/ids.csv", "id,o`x,n\n1,-10,0\n7,-3,4\n")
    other = home.write("environments/seeds/other.csv.gz", "")
    other.write_bytes(gzip.compress(b"who,what\ncsv,zipped"))
    home.write("environments/seeds/steps/2.sql", "insert into t values (2);\n")
    home.write("environments/seeds/steps/1.sql", "create table t (n int);\n")
    home.write("environments/seeds/fill.py", FILL)
    home.write("environments/tool/Dockerfile", "FROM mariadb:11.8\nWORKDIR /\nCOPY --chmod=755 tool.sh /tool.sh\nENTRYPOINT []\n")
    home.write("environments/tool/tool.sh", TOOL).chmod(0o755)


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    if home.engine == "local" and (why := why_not_here(load_kinds(), "mariadb")):
        pytest.skip(why)
    write(home)
    home.environment("seeds", SERVICES + f"outputs: {json.dumps(OUTPUTS)}\n")
    return Running(home, "seeds", home.envctl("up", "seeds", "--json").ok().json)


def query(up: Running, sql: str, database: str = "app") -> Any:
    at = Url.of(up["DB"])
    with (
        pymysql.connect(host=at.host, port=at.port, user=at.username, password=at.password, database=database) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchall()


def test_sql_with_delimiters(up: Running) -> None:
    assert query(up, "select twice(21)") == ((42,),)
    assert query(up, "select what from log where who = 'sql' order by id") == (("a 'quote'; a \\ and ü\n",), ("${x} $HOME",))
    assert query(up, "select n from t", "other") == ((2,),)


def test_every_value_of_a_csv_arrives(up: Running) -> None:
    rows = query(up, "select id, name, note, cast(born as char), cast(raw as char) from people order by id")
    wanted = [tuple(None if value == "" else value for value in row) for row in ROWS]
    assert list(rows[: len(ROWS)]) == wanted
    assert rows[4] == (5, "empty", "", None, ""), "quoted empty is text, unquoted empty is NULL; the trigger trims"
    assert rows[5] == (6, "null", None, None, None)
    assert query(up, "select what from log where who = 'csv'") == (("zipped",),)


def test_numbers_of_a_csv_stay_and_the_next_ones_come_behind_them(up: Running) -> None:
    assert query(up, "select * from ids order by id") == ((1, -10, 0), (7, -3, 4))
    assert query(up, "insert into ids values () returning id, `o``x`, n") == ((8, -12, 5),)


def test_programs_run_in_their_three_places(up: Running) -> None:
    port = Url.of(up["DB"]).port
    found = dict(query(up, "select who, what from log where who in ('server', 'tool', 'here')"))
    assert found == {"server": "x", "tool": "it is app", "here": f"{port} a b environments"}


def test_what_was_seeded_is_not_seeded_again(up: Running) -> None:
    before = query(up, "select count(*) from log")
    up.project.envctl("up", "seeds").ok()
    assert query(up, "select count(*) from log") == before


@pytest.mark.parametrize("input", ["tool/new.txt", "seeds/fill.py", "seeds/schema.sql"])
def test_a_changed_input_is_noticed(up: Running, input: str) -> None:
    path = up.project.folder / "environments" / input
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + "\n")
    try:
        done = up.project.envctl("up", "seeds")
        assert done.status == 2
        assert "envctl reset seeds db" in done.err
    finally:
        path.unlink() if before is None else path.write_text(before)


@pytest.fixture(scope="module")
def broken(home: Project) -> Running:
    """Return a running server without seeds; each test changes its seeds."""
    return bring_up(home, "broken", _with("[]"), {})


def _with(steps: str) -> str:
    return f"services:\n  db:\n    kind: mariadb\n    seed: {steps}\n"


def failing(broken: Running, step: str) -> Done:
    """Return how `up` fails when *step* is added to the seeds of the running server."""
    table = "create or replace table people (id int primary key, name varchar(5) not null);\n"
    broken.project.write("environments/seeds/people.sql", table)
    broken.project.environment("broken", _with(f"[{{sql: seeds/people.sql}}, {step}]"))
    done = broken.project.envctl("up", "broken")
    assert done.status == 1, done
    return done


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("id,name\n1,a\n2,b,c\n", 3, "3 fields where the header has 2"),
        ('id,name\n1,"a\nb"\n2,a"b\n', 4, "quote"),
        ('id,name\n1,"a\nb"\n2,longer than five\n', 4, "Data truncated for column 'name'"),
        ('id,name\n1,a\n\n2,b\n1,c\n', 5, "Duplicate entry '1'"),
        ("id,name\n1,a\nx,b\n", 3, "Incorrect integer value: 'x'"),
        ("id,name\n1,a\n2,\n", 3, "Column"),
        ("id,nome\n1,a\n", None, "Unknown column 'nome'"),
    ],
)  # fmt: skip
def test_a_bad_record_is_named(broken: Running, text: str, line: int | None, words: str) -> None:
    broken.project.write("environments/seeds/bad.csv", text)
    done = failing(broken, "{csv: seeds/bad.csv, into: people}")
    assert f"bad.csv:{line}" in done.err if line else "bad.csv" in done.err
    assert words in done.err


def test_a_bad_statement_is_named(broken: Running) -> None:
    broken.project.write("environments/seeds/bad.sql", "select 1;\n\nDELIMITER //\nselect 2 //\nselect nothing from nowhere //\n")
    done = failing(broken, "{sql: seeds/bad.sql}")
    assert "bad.sql:5" in done.err
    assert "nowhere' doesn't exist" in done.err


def test_a_transaction_that_is_left_open_is_named(broken: Running) -> None:
    broken.project.write("environments/seeds/open.sql", "select 1;\nSTART TRANSACTION;\ninsert into people values (9, 'lost')")
    done = failing(broken, "{sql: seeds/open.sql}")
    assert "open.sql:2: a transaction is left open" in done.err
    assert "COMMIT;" in done.err


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("{command: [sh, -c, 'echo half; echo no such table >&2; exit 3'], in: server}", "no such table"),
        (f"{{command: [{json.dumps(sys.executable)}, -c, 'raise SystemExit(\"cannot migrate\")']}}", "cannot migrate"),
        ("{command: no-such-program --now, in: host}", "no-such-program: No such file or directory"),
    ],
)
def test_a_failing_program_is_quoted(broken: Running, step: str, words: str) -> None:
    done = failing(broken, step)
    assert words in done.err
    assert "broken.yaml:" in done.err
    assert "db: seed step 2 failed" in done.err
