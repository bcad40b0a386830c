"""PostgreSQL and MariaDB through their drivers, with names and passwords that break any missing escaping."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import pg8000.native
import pymysql
import pytest

from envctl.definition.kinds import load_kinds
from envctl.files.packed import _zstd
from envctl.seeding.transactions import LEFT_OPEN
from envctl.units import Prepares, Sized, TemplateGone
from tests.kinds.listening import listens_here_alone
from tests.kinds.support import PASSWORD, USERNAME, Running, Url, bring_up, refused, text
from tests.support import Project

DUMPS = Path(__file__).parent / "dumps"
"""Dumps by pg_dump 16 in two formats, of one table with three rows that belongs to `reporter`."""
OWNER = "zö #% ; x`y"
"""A user name with special characters; PostgreSQL's initdb refuses quotes, dollar signs and backslashes in a name."""
ODD = "au dit'\"$#%ü`_\\"
DATABASES = ["app", "audit", ODD]

SERVICES = f"""
services:
  pg:
    kind: postgres
    with:
      username: {text(OWNER)}
      password: {text(PASSWORD)}
      databases:
        app: {{schemas: {{sales: {{owner: reporter}}, "h'r": {{}}}}}}
        audit: {{owner: reporter, schemas: [log]}}
        {text(ODD)}: {{}}
      users:
        reporter: {{}}
        {text(USERNAME)}: {{password: {text(PASSWORD)}}}
        viewer: {{rights: read, databases: [app]}}
        clerk: {{rights: write}}
        team: {{rights: none, attributes: [NOLOGIN]}}
        lead: {{rights: none, attributes: [CREATEDB], member_of: [team, viewer]}}
      extensions: [EXTENSION]
      settings: {{max_connections: 42, application_name: "it's a $test"}}
    ready: {{query: "select count(*) from pg_database"}}
    seed:
      - sql: seeds/schema.sql
      - rows: seeds/people.yaml
      - generate:
          - table: sales.orders
            count: 30
            random: 7
            columns: {{id: {{sequence: 1}}, who: {{from: people.id}}, mail: {{provider: email, unique: true}}, at: date_this_year}}
      - restore: seeds/custom.dump
      - restore: seeds/folder
        database: {text(ODD)}
        owners: false
  maria:
    kind: mariadb
    with:
      username: {text(USERNAME)}
      password: {text(PASSWORD)}
      databases: {{app: {{}}, audit: {{charset: latin1, collation: latin1_german2_ci}}, {text(ODD)}: {{}}}}
      users:
        reader: {{}}
        {text("x" + USERNAME)}: {{password: {text(PASSWORD)}}}
        viewer: {{rights: read, databases: [app]}}
        clerk: {{rights: write}}
      settings: {{max-connections: 43}}
    ready: {{query: "select count(*) from information_schema.tables"}}
    seed:
      - sql: seeds/maria.sql
      - rows: seeds/people.yaml
      - generate: {{table: orders, count: 30, random: 7, columns: {{who: {{from: people.id}}, mail: email}}}}
      - restore: seeds/dump.sql.zst
        owners: false
  my-sql: {{kind: mysql, with: {{password: ""}}}}
  open-pg: {{kind: postgres, with: {{password: "", users: [clerk]}}}}
"""
OUTPUTS = {
    "PG": "${pg.url}",
    "PG_REPORTER": "${pg.users.reporter.url}",
    "PG_USER": "${(pg.users.values()|list)[1].url}",
    "MARIA": "${maria.url}",
    "MARIA_READER": "${maria.users.reader.url}",
    "MARIA_ROOT": "${maria.root_password}",
    "MY": "${my-sql.url}",
    "OPEN_PG": "${open-pg.url}",
    "PG_AUDIT": "${pg.databases.audit.url}",
    "PG_AUDIT_JDBC": "${pg.databases.audit.jdbc_url}",
    "MARIA_AUDIT": "${maria.databases.audit.url}",
    "PG_ODD": "${(pg.databases.values()|list)[2].url}",
    "MARIA_ODD": "${(maria.databases.values()|list)[2].url}",
    "MARIA_USER": "${(maria.users.values()|list)[1].url}",
    "PG_VIEWER": "${pg.users.viewer.url}",
    "PG_CLERK": "${pg.users.clerk.url}",
    "PG_LEAD": "${pg.users.lead.url}",
    "PG_SCHEMAS": "${pg.databases.audit.schemas}",
    "MARIA_VIEWER": "${maria.users.viewer.url}",
    "MARIA_CLERK": "${maria.users.clerk.url}",
}


TRGM = ("pg_trgm", "similarity('a', 'a')")
EXTENSIONS = {"docker": TRGM, "kubernetes": TRGM, "local": ("vector", "'[1]'::vector <-> '[2]'::vector")}
"""An extension that is available on each engine, and an expression that uses the extension and returns 1."""


SCHEMA = """
create table people (id int primary key, name text default 'nobody', born date, vip boolean, data json, raw {bytes});
create table {schema}orders (id int {serial} primary key, who int, mail varchar(80), {more});
"""
IDENTITY = "alter table people alter id add generated always as identity (increment by -1 minvalue -9 maxvalue 9 start with 9);"
PEOPLE = """
people:
  - {id: 1, name: "Zoë \\"x\\"\\t\\\\N\\n", born: 2001-02-03, vip: true, data: {a: [1, null]}, raw: {$base64: AP8J}}
  - {id: 2, name: null, born: null, vip: false, data: null, raw: null}
  - {id: 3}
"""
DUMP = b"""
CREATE TABLE restored (id int primary key, text varchar(20));
INSERT INTO restored VALUES (1, 'row 1'), (2, 'row 2');
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`nobody`@`nowhere` SQL SECURITY DEFINER */
/*!50001 VIEW seen AS select id from restored */;
"""


def write_seeds(home: Project) -> None:
    numbered = SCHEMA.format(bytes="bytea", schema="sales.", serial="default nextval('public.numbers')", more="at date")
    home.write("environments/seeds/schema.sql", f"create sequence numbers;{numbered}{IDENTITY}")
    home.write("environments/seeds/maria.sql", SCHEMA.format(bytes="varbinary(9)", schema="", serial="auto_increment", more="at date"))
    home.write("environments/seeds/people.yaml", PEOPLE)
    home.write("environments/seeds/dump.sql.zst", "").write_bytes(_zstd().compress(DUMP))
    shutil.copytree(DUMPS, home.folder / "environments/seeds", dirs_exist_ok=True)


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    write_seeds(home)
    return bring_up(home, "databases", SERVICES.replace("EXTENSION", EXTENSIONS[home.engine][0]), OUTPUTS)


def postgres(url: str, sql: str, **changed: Any) -> Any:
    at = Url.of(url)
    given = {"host": at.host, "port": at.port, "password": at.password, "database": at.path} | changed
    with pg8000.native.Connection(at.username, **given) as connection:
        return connection.run(sql)


def mariadb(url: str, sql: str, **changed: Any) -> Any:
    at = Url.of(url)
    # PyMySQL would encode str as Latin-1.
    given = {"host": at.host, "port": at.port, "user": at.username, "password": at.password.encode(), "database": at.path} | changed
    with pymysql.connect(charset="utf8mb4", autocommit=True, **given) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_postgres_with_given_credentials(up: Running) -> None:
    at = Url.of(up["PG"])
    assert (at.username, at.password) == (OWNER, PASSWORD)
    assert postgres(up["PG"], "select current_user, current_database()") == [[OWNER, "app"]]
    assert postgres(up["PG"], "show max_connections") == [["42"]]
    assert postgres(up["PG"], "select rolsuper from pg_roles where rolname = current_user") == [[True]]


def test_several_databases_of_postgres(up: Running) -> None:
    _, one = EXTENSIONS[up.project.engine]
    assert postgres(up["PG_AUDIT"], f"select current_database(), {one}") == [["audit", 1.0]]
    assert postgres(up["PG_ODD"], f"select current_database(), {one}") == [[ODD, 1.0]]
    at = Url.of(up["PG"])
    assert up["PG_AUDIT_JDBC"] == f"jdbc:postgresql://{at.host}:{at.port}/audit", "no password in it"


def test_users_of_postgres(up: Running) -> None:
    postgres(up["PG"], "create table shared (id int)")
    assert postgres(up["PG_REPORTER"], "insert into shared values (1) returning current_user") == [["reporter"]]
    assert postgres(up["PG_USER"], "select current_user, count(*) from shared") == [[USERNAME, 1]]
    assert postgres(up["PG"], "select pg_get_userbyid(datdba) from pg_database where datname = 'audit'") == [["reporter"]]


@pytest.mark.parametrize(("ends", "status"), [("commit", 0), ("select 1", 1)])
def test_a_transaction_that_a_seed_leaves_open_is_an_error_of_psql(up: Running, ends: str, status: int) -> None:
    words = load_kinds()["postgres"].seeds["sql"].command
    at = words.index("-f")
    file = [word for sql in ("begin", f"create table left_{status} ()", ends) for word in ("-c", sql)]
    done = up.project.envctl("exec", "databases", "pg", "--", *words[:at], *file, *words[at + 2 :])
    assert done.status == status, done
    assert (LEFT_OPEN in done.err) == bool(status), "postgres.yaml and the seeding room agree in the words"


def refused_by_postgres(url: str, sql: str, **changed: Any) -> bool:
    with pytest.raises(pg8000.native.DatabaseError, match="permission denied"):
        postgres(url, sql, **changed)
    return True


def test_rights_in_postgres(up: Running) -> None:
    orders = "select count(*) > 0 from sales.orders"
    assert postgres(up["PG_VIEWER"], orders) == postgres(up["PG_CLERK"], orders) == postgres(up["PG_LEAD"], orders) == [[True]]
    assert refused_by_postgres(up["PG_VIEWER"], "insert into sales.orders (id) values (0)")
    assert refused_by_postgres(up["PG_VIEWER"], "select 1", database="audit")
    assert postgres(up["PG_CLERK"], "insert into sales.orders (id) values (0) returning 1") == [[1]]
    assert refused_by_postgres(up["PG_CLERK"], "create table public.mine (id int)")
    assert postgres(up["PG_LEAD"], "select rolcreatedb, pg_has_role('team', 'member') from pg_roles where rolname = current_user") == [
        [True, True]
    ]
    postgres(up["PG_REPORTER"], "create table sales.later (id int)")
    assert postgres(up["PG"], "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'h''r'") == [[OWNER]]
    assert json.loads(up["PG_SCHEMAS"]) == ["log"]
    assert postgres(up["PG_AUDIT"], "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'log'") == [["reporter"]]


PERSON = 'Zoë "x"\t\\N\n'
BORN = datetime.date(2001, 2, 3)


def test_seeds_of_postgres(up: Running) -> None:
    first, *others = postgres(up["PG"], "select id, name, born, vip, data, raw from people order by id")
    assert first == [1, PERSON, BORN, True, {"a": [1, None]}, b"\0\xff\t"]
    assert others == [[2, None, None, False, None, None], [3, "nobody", None, None, None, None]]
    made = "select count(*), count(distinct mail), count(distinct who) from sales.orders where id > 0"
    assert postgres(up["PG"], made) == [[30, 30, 3]]
    last = "select last_value, (select last_value from people_id_seq) from numbers"
    assert postgres(up["PG"], last) == [[30, 1]], "rows with ids move what numbers the next ones"
    restored = "select count(*), max(text), (select tableowner from pg_tables where tablename = 'restored') from restored"
    assert postgres(up["PG"], restored) == [[3, "row 3", "reporter"]]
    assert postgres(up["PG_ODD"], restored) == [[3, "row 3", OWNER]], "without the owners of the dump"


def test_seeds_of_mariadb(up: Running) -> None:
    first, *others = mariadb(up["MARIA"], "select id, name, born, vip, data, raw from people order by id")
    assert (*first[:4], json.loads(first[4]), first[5]) == (1, PERSON, BORN, 1, {"a": [1, None]}, b"\0\xff\t")
    assert others == [(2, None, None, 0, None, None), (3, "nobody", None, None, None, None)]
    assert mariadb(up["MARIA"], "select count(*), count(distinct who) from orders where id <= 30") == ((30, 3),)
    assert mariadb(up["MARIA"], "select count(*) from seen") == ((2,),), "who made the view is not there"


def test_rights_in_mariadb(up: Running) -> None:
    assert mariadb(up["MARIA_VIEWER"], "select max(id) from people") == ((3,),)
    mariadb(up["MARIA_CLERK"], "insert into orders (id) values (100)")
    for url, sql in (("MARIA_VIEWER", "insert into orders (id) values (101)"), ("MARIA_CLERK", "create table mine (id int)")):
        with pytest.raises(pymysql.OperationalError, match="denied"):
            mariadb(up[url], sql)
    with pytest.raises(pymysql.OperationalError, match="denied"):
        mariadb(up["MARIA_VIEWER"], "select 1", database="audit")
    assert mariadb(up["MARIA_AUDIT"], "select @@collation_database") == (("latin1_german2_ci",),)


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"password": ""}, {"password": PASSWORD.strip(":/")}])
def test_postgres_refuses_a_wrong_password(up: Running, changed: dict[str, str]) -> None:
    with pytest.raises((pg8000.native.DatabaseError, pg8000.native.InterfaceError)):
        postgres(up["PG"], "select 1", **changed)


def test_postgres_asks_for_a_password_inside_too(up: Running) -> None:
    sockets = ["/var/run/postgresql"] if up.project.engine != "local" else []
    port = ["-p", str(Url.of(up["PG"]).port)] if up.project.engine == "local" else []
    for host in ["127.0.0.1", *sockets]:
        done = up.execute("pg", "env", "-u", "PGPASSWORD", "psql", "-w", "-h", host, *port, "-U", OWNER, "-d", "app", "-c", "select 1")
        assert done.status == 2, host
        assert "no password supplied" in done.err + done.out


def test_a_postgres_without_a_password_lets_everybody_in(up: Running) -> None:
    assert up["OPEN_PG"].startswith("postgresql://postgres@")
    assert "OPEN_PG_PASSWORD" not in up.defaults
    at = up["OPEN_PG"]
    for url, user in ((at, "postgres"), (at.replace("postgres@", "clerk@"), "clerk")):
        assert postgres(url, "select current_user") == [[user]]
    assert up.execute("open-pg", "psql", "-w", "-XAtc", "select 1").ok().out.strip() == "1"


def test_postgres_says_which_names_it_does_not_take(home: Project) -> None:
    refused(home, "postgres", "username", ["a'b", 'a"b', "a$b", "a\\b"], "No quotes, dollar signs or backslashes")


def test_mariadb_says_which_names_it_does_not_take(home: Project) -> None:
    refused(home, "mariadb", "username", [""])


def test_mariadb_with_given_credentials(up: Running) -> None:
    at = Url.of(up["MARIA"])
    assert (at.username, at.password) == (USERNAME, PASSWORD)
    assert mariadb(up["MARIA"], "select current_user(), database()") == ((f"{USERNAME}@%", "app"),)
    assert mariadb(up["MARIA"], "select @@max_connections") == ((43,),)
    assert mariadb(up["MARIA"], "select count(*) from mysql.global_priv", user="root", password=up["MARIA_ROOT"].encode())


def test_several_databases_of_mariadb(up: Running) -> None:
    assert mariadb(up["MARIA_AUDIT"], "select database()") == (("audit",),)
    assert mariadb(up["MARIA_ODD"], "select database()") == ((ODD,),)
    mariadb(up["MARIA_ODD"], "create table mine (id int)")
    assert mariadb(up["MARIA_ODD"], "select count(*) from mine") == ((0,),)


def test_users_of_mariadb(up: Running) -> None:
    mariadb(up["MARIA"], "create table shared (id int)")
    assert mariadb(up["MARIA_READER"], "select current_user(), count(*) from shared") == (("reader@%", 0),)
    assert mariadb(up["MARIA_USER"], "select current_user(), count(*) from shared") == ((f"x{USERNAME}@%", 0),)


@pytest.mark.parametrize(
    "changed", [{"password": b"wrong"}, {"password": b""}, {"user": "root", "password": b""}, {"user": "", "password": b""}]
)
def test_mariadb_refuses_wrong_credentials(up: Running, changed: dict[str, Any]) -> None:
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        mariadb(up["MARIA"], "select 1", **changed)


def test_mariadb_asks_for_a_password_inside_too(up: Running) -> None:
    here = ["--host=127.0.0.1", f"--port={Url.of(up['MARIA']).port}"]
    for where in [["--host=127.0.0.1"], ["--protocol=socket"]] if up.project.engine != "local" else [here]:
        done = up.execute("maria", "mariadb", "--no-defaults", *where, "--user=root", "-e", "select 1")
        assert done.status == 1, where
        assert "Access denied" in done.err + done.out


def test_mysql_is_another_name_and_root_may_be_the_user(up: Running) -> None:
    assert up["MY"].startswith("mysql://root@"), "with an empty password it is root, whom nobody asks for one"
    assert mariadb(up["MY"], "select current_user(), database(), @@version like '%MariaDB%'") == (("root@%", "app", 1),)


@pytest.mark.parametrize("service", ["pg", "maria", "my-sql"])
def test_default_outputs(up: Running, service: str) -> None:
    found = up.defaults_of(service)
    at = Url.of(found["url"])
    given = {"password": at.password} if service != "my-sql" else {}
    assert {"host", "port", "url", "username", "database", "jdbc_url", *given} <= found.keys()
    wanted = {"host": at.host, "port": str(at.port), "username": at.username, "database": "app", **given}
    assert {key: found[key] for key in wanted} == wanted
    assert not given or at.password not in found["jdbc_url"]


def test_processes_listen_on_loopback_alone(up: Running) -> None:
    listens_here_alone(up)


SEEDED = """
create table parent (id serial primary key, name text);
insert into parent (name) values ('a'), ('b');
create materialized view names as select name from parent;
select lo_from_bytea(4711, 'large');
create schema other; create table other.child (id int references public.parent on delete cascade);
"""


def test_units_of_postgres(up: Running) -> None:
    """A reset restores everything in a database, even while a client is connected; changes in one unit do not reach another."""
    url = up["PG_ODD"]
    first, second = "lane'\"1 %\\", "lane2"
    postgres(url, SEEDED)
    names = f'"{ODD.replace(chr(34), chr(34) * 2)}"'
    postgres(url, f"alter database {names} set search_path to other, public")
    with up.units("pg") as driver:
        driver.keep(ODD, "kept")
        for unit in (first, second):
            driver.clone("kept", unit)
        for _ in range(2):
            at = Url.of(url)
            with pg8000.native.Connection(at.username, host=at.host, port=at.port, password=at.password, database=first) as used:
                used.run("insert into parent (name) values ('c'); delete from parent where name = 'a'; drop table child")
                used.run("refresh materialized view names; select lo_unlink(4711)")
                used.run("select nextval('parent_id_seq')")
                driver.reset("kept", first)
            assert postgres(url, "insert into parent (name) values ('d') returning id", database=first) == [[3]]
            assert postgres(url, "select name from names order by name", database=first) == [["a"], ["b"]]
            assert postgres(url, "select lo_get(4711)", database=first) == [[b"large"]]
            assert postgres(url, "show search_path", database=first) == [["other, public"]]
            assert postgres(url, "select count(*) from child", database=first) == [[0]]
            postgres(url, "insert into parent (name) values ('kept')", database=second)
        assert postgres(url, "select count(*) from parent", database=second) == [[4]]
        assert postgres(url, "select count(*) from parent") == [[2]]
        assert isinstance(driver, Prepares)
        driver.prepare("kept", first)
        assert isinstance(driver, Sized)
        assert driver.size("kept").disk > 1 << 20
        for unit in (first, second, "kept", "none"):
            driver.drop(unit)
    there = postgres(url, "select datname from pg_database where datname not like 'template%' and datname <> 'postgres'")
    assert {name for (name,) in there} == {*DATABASES, *(f"{name}_seeded" for name in DATABASES)}


def test_rights_on_a_unit_of_postgres_are_those_on_its_database(up: Running) -> None:
    with up.units("pg") as driver:
        driver.keep("audit", "kept")
        driver.clone("kept", "lane1")
        rights = "select datacl::text, pg_get_userbyid(datdba) from pg_database where datname = any(array['audit', 'lane1'])"
        first, second = postgres(up["PG"], rights)
        assert first == second
        assert postgres(up["PG_REPORTER"], "create table mine (id int); select 1", database="lane1") == [[1]]
        with pytest.raises(pg8000.exceptions.DatabaseError, match="not currently accepting"):
            postgres(up["PG"], "select 1", database="kept")
        for unit in ("kept", "lane1"):
            driver.drop(unit)


def test_what_is_reset_from_a_template_that_is_gone_stays(up: Running) -> None:
    with up.units("pg") as driver, pytest.raises(TemplateGone):
        driver.reset("none", "app")
    assert postgres(up["PG"], "select current_database()") == [["app"]]


MARIA_SEEDED = [
    "create table parent (id int auto_increment primary key, name varchar(20), twice int generated always as (id * 2) virtual)",
    "create table child (parent int, foreign key (parent) references parent (id) on delete cascade)",
    "insert into parent (name) values ('a'), ('b')",
    "insert into child values (1)",
    "create view names as select p.name from parent p join child c on c.parent = p.id",
    "create trigger shout before insert on parent for each row set new.name = upper(new.name)",
    "create procedure one() select 1",
    "create sequence numbers start with 100",
]


def test_units_of_mariadb(up: Running) -> None:
    url = up["MARIA_ODD"]
    for sql in MARIA_SEEDED:
        mariadb(url, sql)
    first, second = "lane`1_%", "lane2"
    with up.units("maria") as driver:
        driver.keep(ODD, "kept")
        for unit in (first, second):
            driver.clone("kept", unit)
        at = Url.of(url)
        given: Any = {"host": at.host, "port": at.port, "user": at.username, "password": at.password.encode(), "database": first}
        with pymysql.connect(charset="utf8mb4", autocommit=True, **given) as used, used.cursor() as cursor:
            for _ in range(2):
                for sql in ("insert into parent (name) values ('c')", "delete from parent where id = 1", "drop view names",
                            "select nextval(numbers)", "drop procedure one", "create table more (id int)"):  # fmt: skip
                    cursor.execute(sql)
                driver.reset("kept", first)
                cursor.execute("select id, name, twice from parent")
                assert cursor.fetchall() == ((1, "a", 2), (2, "b", 4)), "the connection lives on"
                cursor.execute("select name from names")
                assert cursor.fetchall() == (("a",),)
                cursor.execute("select nextval(numbers)")
                assert cursor.fetchall() == ((100,),)
                cursor.execute("insert into parent (name) values ('d')")
                cursor.execute("select id, name from parent where id > 2")
                assert cursor.fetchall() == ((3, "D"),), "counters and triggers are back"
                cursor.execute("call one()")
                cursor.fetchall()
        assert mariadb(up["MARIA_READER"], "select count(*) from parent", database=second) == ((2,),), "users have their rights there"
        assert isinstance(driver, Sized)
        assert driver.size("kept").disk > driver.size("none").disk == 0
        for unit in (first, second, "kept", "none"):
            driver.drop(unit)
