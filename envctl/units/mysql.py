"""MariaDB and MySQL: a unit is a database. A reset empties and reloads the tables that differ; clients keep their connections.

There is no copy of a database by its files: tables are made anew by what the server says of them, and filled within it.
Whether a table differs is told by the server's checksum of its rows, and by its definition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pymysql

from envctl.units import TemplateGone, UnitError

ACCESS_DENIED = 1045
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
ROUTINES = (
    ("TRIGGER", "SQL Original Statement"),
    ("PROCEDURE", "Create Procedure"),
    ("FUNCTION", "Create Function"),
    ("EVENT", "Create Event"),
)


def open_driver(properties: Mapping[str, Any]) -> MysqlDriver:
    """As the server's administrator, whom a Compose file may have given another password; then as its user."""
    logins = [("root", properties.get("root_password")), (properties["username"], properties["password"])]
    for user, password in ((str(user), str(password)) for user, password in logins if password):
        try:
            return MysqlDriver(
                pymysql.connect(
                    host=str(properties["host"]), port=int(properties["port"]), user=user, charset="utf8mb4", autocommit=True,
                    password=password.encode(), connect_timeout=10, read_timeout=300,  # type: ignore[arg-type]  # else it is sent in Latin-1
                )
            )  # fmt: skip
        except pymysql.MySQLError as error:
            refused = error
            if not error.args or error.args[0] != ACCESS_DENIED:
                break
    raise UnitError(f"MariaDB at {properties['host']}:{properties['port']}: {refused}")


class MysqlDriver:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._run("SET foreign_key_checks = 0, unique_checks = 0, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', sql_log_bin = 0")

    def keep(self, base: str, template: str) -> None:
        self.drop(template)
        self._copy(base, template)

    def clone(self, template: str, unit: str) -> None:
        self.drop(unit)
        self._copy(template, unit)

    def reset(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def drop(self, unit: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {_name(unit)}")

    def close(self) -> None:
        self._connection.close()

    def _copy(self, source: str, target: str) -> None:
        """Raises TemplateGone where there is no *source*."""
        found = self._run(
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = %s", source
        )
        if not found:
            raise TemplateGone(f"there is no database '{source}'")
        self._run(f"CREATE DATABASE IF NOT EXISTS {_name(target)} CHARACTER SET {found[0][0]} COLLATE {found[0][1]}")
        self._run(f"USE {_name(target)}")
        self._copy_rights(source, target)
        wanted, there = self._tables(source), self._tables(target)
        for name, kind in there.items():
            if wanted.get(name) != kind or kind != "BASE TABLE":
                self._run(f"DROP {_KINDS.get(kind, 'TABLE')} IF EXISTS {_name(name)}")
        tables = [name for name, kind in wanted.items() if kind == "BASE TABLE"]
        different = self._different(source, target, [name for name in tables if there.get(name) == "BASE TABLE"])
        self._drop_routines(target)
        for name in tables:
            if name not in there or name in different:
                self._copy_table(source, target, name, name in there)
        for kind in ("SEQUENCE", "VIEW"):
            self._copy_others(source, target, [name for name, each in wanted.items() if each == kind], kind)
        self._copy_routines(source, target)

    def _tables(self, database: str) -> dict[str, str]:
        found = self._run("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = %s", database)
        return {str(name): str(kind) for name, kind in found}

    def _different(self, source: str, target: str, names: list[str]) -> set[str]:
        """Of tables that both have, those with other rows, other columns, or another number to come."""
        if not names:
            return set()
        both = [f"{_name(database)}.{_name(name)}" for database in (source, target) for name in names]
        sums = [row[1] for row in self._run(f"CHECKSUM TABLE {', '.join(both)}")]
        half = len(names)
        changed = {name for index, name in enumerate(names) if sums[index] != sums[index + half]}
        return changed | {name for name in names if name not in changed and self._written(source, name) != self._written(target, name)}

    def _written(self, database: str, table: str) -> str:
        return str(self._run(f"SHOW CREATE TABLE {_name(database)}.{_name(table)}")[0][1])

    def _copy_table(self, source: str, target: str, name: str, there: bool) -> None:
        written = self._written(source, name)
        if there and _COUNTER.sub("", written) == _COUNTER.sub("", self._written(target, name)):
            self._run(f"DELETE FROM {_name(name)}")
        else:
            self._run(f"DROP TABLE IF EXISTS {_name(name)}")
            self._run(_elsewhere(written, source, target))
        columns = ", ".join(_name(column) for column in self._columns(source, name))
        self._run(f"INSERT INTO {_name(name)} ({columns}) SELECT {columns} FROM {_name(source)}.{_name(name)}")
        if counter := _COUNTER.search(written):
            self._run(f"ALTER TABLE {_name(name)}{counter.group()}")
        elif there and _COUNTER.search(self._written(target, name)):
            self._run(f"ALTER TABLE {_name(name)} AUTO_INCREMENT=1")

    def _columns(self, database: str, table: str) -> list[str]:
        """Without those that the server computes."""
        what = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND extra NOT LIKE '%%GENERATED%%'"
        return [str(row[0]) for row in self._run(f"{what} ORDER BY ordinal_position", database, table)]

    def _copy_others(self, source: str, target: str, names: list[str], kind: str) -> None:
        """Views may use each other: those that cannot be made yet are tried again."""
        waiting, refused = list(names), UnitError("")
        while waiting:
            made = []
            for name in waiting:
                try:
                    written = str(self._run(f"SHOW CREATE {kind} {_name(source)}.{_name(name)}")[0][1])
                    self._run(_elsewhere(written, source, target))
                    made.append(name)
                except UnitError as error:
                    refused = error
                    continue
                if kind == "SEQUENCE":
                    following = self._run(f"SELECT next_not_cached_value FROM {_name(source)}.{_name(name)}")[0][0]
                    self._run(f"ALTER SEQUENCE {_name(name)} RESTART {following}")
            if not made:
                raise refused
            waiting = [name for name in waiting if name not in made]

    def _drop_routines(self, database: str) -> None:
        for kind, _ in ROUTINES:
            for name in self._routines(database, kind):
                self._run(f"DROP {kind} IF EXISTS {_name(database)}.{_name(name)}")

    def _copy_routines(self, source: str, target: str) -> None:
        for kind, column in ROUTINES:
            for name in self._routines(source, kind):
                with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
                    cursor.execute(f"SHOW CREATE {kind} {_name(source)}.{_name(name)}")
                    written = str(cursor.fetchone()[column])
                self._run(_elsewhere(written, source, target))

    def _routines(self, database: str, kind: str) -> list[str]:
        schema, table, more = {
            "TRIGGER": ("trigger", "triggers", ""),
            "EVENT": ("event", "events", ""),
        }.get(kind, ("routine", "routines", f" AND routine_type = '{kind}'"))
        return [
            str(row[0])
            for row in self._run(f"SELECT {schema}_name FROM information_schema.{table} WHERE {schema}_schema = %s{more}", database)
        ]

    def _copy_rights(self, source: str, target: str) -> None:
        """Rights on a database are known by its name, in which `_` and `%` are patterns."""
        columns = [
            str(row[0])
            for row in self._run(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'mysql' AND table_name = 'db' AND column_name <> 'Db'"
            )
        ]
        names = ", ".join(map(_name, columns))
        self._run(
            f"REPLACE INTO mysql.db (Db, {names}) SELECT %s, {names} FROM mysql.db WHERE Db IN (%s, %s)",
            _pattern(target),
            source,
            _pattern(source),
        )
        self._run("FLUSH PRIVILEGES")

    def _run(self, sql: str, *values: Any) -> list[Any]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise UnitError(f"MariaDB: {error.args[-1] if error.args else error}") from None


_KINDS = {"BASE TABLE": "TABLE", "VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}


def _name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _pattern(name: str) -> str:
    return re.sub(r"([_%\\])", r"\\\1", name)


def _elsewhere(written: str, source: str, target: str) -> str:
    """What the server says of a thing names its database where it must: so it does for the other one."""
    return written.replace(f"{_name(source)}.", f"{_name(target)}.")
