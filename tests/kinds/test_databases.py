"""PostgreSQL and MariaDB through their drivers, with names and passwords that break whatever is not escaped."""

from __future__ import annotations

from typing import Any

import pg8000.native
import pymysql
import pytest

from envctl.units import TemplateGone
from tests.kinds.listening import listens_here_alone
from tests.kinds.support import PASSWORD, USERNAME, Running, Url, bring_up, refused, text
from tests.support import Project

OWNER = "zö #% ; x`y"
"""PostgreSQL's initdb takes neither quotes nor dollar signs nor backslashes."""
ODD = "au dit'\"$#%ü`_\\"
DATABASES = ["app", "audit", ODD]

SERVICES = f"""
services:
  pg:
    kind: postgres
    with:
      username: {text(OWNER)}
      password: {text(PASSWORD)}
      databases: {{app: {{}}, audit: {{owner: reporter}}, {text(ODD)}: {{}}}}
      users: {{reporter: {{}}, {text(USERNAME)}: {{password: {text(PASSWORD)}}}}}
      extensions: [EXTENSION]
      settings: {{max_connections: 42, application_name: "it's a $test"}}
    ready: {{query: "select count(*) from pg_database"}}
  maria:
    kind: mariadb
    with:
      username: {text(USERNAME)}
      password: {text(PASSWORD)}
      databases: [app, audit, {text(ODD)}]
      users: {{reader: {{}}, {text("x" + USERNAME)}: {{password: {text(PASSWORD)}}}}}
      settings: {{max-connections: 43}}
    ready: {{query: "select count(*) from information_schema.tables"}}
  my-sql: {{kind: mysql, with: {{username: root}}}}
"""
OUTPUTS = {
    "PG": "${pg.url}",
    "PG_REPORTER": "${pg.users.reporter.url}",
    "PG_USER": "${(pg.users.values()|list)[1].url}",
    "MARIA": "${maria.url}",
    "MARIA_READER": "${maria.users.reader.url}",
    "MARIA_ROOT": "${maria.root_password}",
    "MY": "${my-sql.url}",
    "PG_AUDIT": "${pg.databases.audit.url}",
    "PG_AUDIT_JDBC": "${pg.databases.audit.jdbc_url}",
    "MARIA_AUDIT": "${maria.databases.audit.url}",
    "PG_ODD": "${(pg.databases.values()|list)[2].url}",
    "MARIA_ODD": "${(maria.databases.values()|list)[2].url}",
    "MARIA_USER": "${(maria.users.values()|list)[1].url}",
}


TRGM = ("pg_trgm", "similarity('a', 'a')")
EXTENSIONS = {"docker": TRGM, "kubernetes": TRGM, "local": ("vector", "'[1]'::vector <-> '[2]'::vector")}
"""One that is there, and an expression over it that gives 1."""


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    return bring_up(home, "databases", SERVICES.replace("EXTENSION", EXTENSIONS[home.engine][0]), OUTPUTS)


def postgres(url: str, sql: str, **changed: Any) -> Any:
    at = Url.of(url)
    given = {"host": at.host, "port": at.port, "password": at.password, "database": at.path} | changed
    with pg8000.native.Connection(at.username, **given) as connection:
        return connection.run(sql)


def mariadb(url: str, sql: str, **changed: Any) -> Any:
    at = Url.of(url)
    # Bytes: PyMySQL would write the text in Latin-1.
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


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"password": ""}, {"password": PASSWORD.strip(":/")}])
def test_postgres_refuses_a_wrong_password(up: Running, changed: dict[str, str]) -> None:
    with pytest.raises((pg8000.native.DatabaseError, pg8000.native.InterfaceError)):
        postgres(up["PG"], "select 1", **changed)


def test_postgres_asks_for_a_password_inside_too(up: Running) -> None:
    sockets = ["/var/run/postgresql"] if up.project.engine != "local" else []
    port = ["-p", str(Url.of(up["PG"]).port)] if up.project.engine == "local" else []
    for host in ["127.0.0.1", *sockets]:
        done = up.execute("pg", "psql", "-w", "-h", host, *port, "-U", OWNER, "-d", "app", "-c", "select 1")
        assert done.status == 2, host
        assert "no password supplied" in done.err + done.out


def test_postgres_says_which_names_it_does_not_take(home: Project) -> None:
    refused(home, "postgres", "username", ["a'b", 'a"b', "a$b", "a\\b"], "without quotes, dollar signs and backslashes")


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
    assert Url.of(up["MY"]).username == "root"
    assert mariadb(up["MY"], "select current_user(), database(), @@version like '%MariaDB%'") == (("root@%", "app", 1),)


@pytest.mark.parametrize("service", ["pg", "maria", "my-sql"])
def test_default_outputs(up: Running, service: str) -> None:
    found = up.defaults_of(service)
    at = Url.of(found["url"])
    assert {"host", "port", "url", "username", "password", "database", "jdbc_url"} <= found.keys()
    assert (found["host"], found["port"], found["username"], found["password"]) == (at.host, str(at.port), at.username, at.password)
    assert found["database"] == "app"
    assert at.password not in found["jdbc_url"]


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
    """All that a database has comes back, while somebody is connected to it, and nothing of one reaches another."""
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
        for unit in (first, second, "kept", "none"):
            driver.drop(unit)
    assert postgres(url, "select datname from pg_database where datname not like 'template%' and datname <> 'postgres'") == [
        [name] for name in DATABASES
    ]


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
        for unit in (first, second, "kept", "none"):
            driver.drop(unit)
