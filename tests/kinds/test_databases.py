"""PostgreSQL and MariaDB through their drivers, with names and passwords that break whatever is not escaped."""

from __future__ import annotations

from typing import Any

import pg8000.native
import pymysql
import pytest

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
