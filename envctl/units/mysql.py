"""MariaDB and MySQL units: databases. A reset empties and reloads the tables that differ; clients keep their connections.

A database cannot be copied by its files, so tables are created from the server's own definitions and filled within the server. Whether a
table differs is decided by the server's checksum of its rows, and by its definition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pymysql

from envctl.units import Size, TemplateGone, UnitError

ACCESS_DENIED = 1045
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


class Listing(NamedTuple):
    """How to list the objects of a type: the query for their names and tables, and the column of SHOW CREATE that holds the statement."""

    names: str
    column: str


_ROUTINE = "SELECT routine_name, '' FROM information_schema.routines WHERE routine_schema = %s AND routine_type = "
ROUTINES = {
    "TRIGGER": Listing(
        "SELECT trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = %s ORDER BY action_order",
        "SQL Original Statement",
    ),
    "PROCEDURE": Listing(f"{_ROUTINE}'PROCEDURE'", "Create Procedure"),
    "FUNCTION": Listing(f"{_ROUTINE}'FUNCTION'", "Create Function"),
    "EVENT": Listing("SELECT event_name, '' FROM information_schema.events WHERE event_schema = %s", "Create Event"),
}


class Routine(NamedTuple):
    """A trigger, procedure, function or event: the statement that creates it, and for a trigger its table."""

    written: str
    table: str


def open_driver(properties: Mapping[str, Any]) -> MysqlDriver:
    """Connect as the server's administrator or, if that login is refused, as its user.

    A Compose file may have set another password for the administrator.

    Raises:
        UnitError: The server does not answer, or refuses both logins.
    """
    logins = [("root", properties.get("root_password")), (properties["username"], properties["password"])]
    for user, password in ((str(user), str(password)) for user, password in logins if password is not None):
        try:
            return MysqlDriver(
                pymysql.connect(
                    host=str(properties["host"]), port=int(properties["port"]), user=user, charset="utf8mb4", autocommit=True,
                    password=password.encode(), connect_timeout=10, read_timeout=300,  # bytes, because a string would be sent as Latin-1
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

    def size(self, unit: str) -> Size:
        tables = "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = %s"
        return Size(disk=int(self._run(tables, unit)[0][0]))

    def reset(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def drop(self, unit: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {_name(unit)}")

    def close(self) -> None:
        self._connection.close()

    def _copy(self, source: str, target: str) -> None:
        """Copy *source* into *target*. Raise TemplateGone if *source* does not exist."""
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
            if wanted.get(name) != kind:
                self._run(f"DROP {_KINDS.get(kind, 'TABLE')} IF EXISTS {_name(name)}")
        tables = [name for name, kind in wanted.items() if kind == "BASE TABLE"]
        kept = [name for name in tables if there.get(name) == "BASE TABLE"]
        changed = {*tables} - {*kept} | self._different(source, target, kept)
        routines, own = self._routines(source, target), self._routines(target, target)
        for key, routine in own.items():
            # A trigger would change the rows while they are loaded.
            if routines.get(key) != routine or routine.table in changed:
                self._run(f"DROP {key[0]} IF EXISTS {_name(key[1])}")
        for name in tables:
            if name in changed:
                self._copy_table(source, target, name, name in kept)
        self._copy_sequences(source, [name for name, kind in wanted.items() if kind == "SEQUENCE"], there)
        self._copy_views(source, target, [name for name, kind in wanted.items() if kind == "VIEW"], there)
        for key, routine in routines.items():
            if own.get(key) != routine or routine.table in changed:
                self._run(routine.written)

    def _tables(self, database: str) -> dict[str, str]:
        found = self._run("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = %s", database)
        return {str(name): str(kind) for name, kind in found}

    def _different(self, source: str, target: str, names: list[str]) -> set[str]:
        """Return the tables of *names* whose rows, columns or next AUTO_INCREMENT number differ between the two databases."""
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
        """Return the names of the columns, except those that the server computes."""
        found = self._run(f"{_COLUMNS} AND extra NOT LIKE '%%GENERATED%%' ORDER BY ordinal_position", database, table)
        return [str(row[0]) for row in found]

    def _copy_sequences(self, source: str, names: list[str], there: Mapping[str, str]) -> None:
        for name in names:
            if name not in there:
                self._run(str(self._run(f"SHOW CREATE SEQUENCE {_name(source)}.{_name(name)}")[0][1]))
            following = self._run(f"SELECT next_not_cached_value FROM {_name(source)}.{_name(name)}")[0][0]
            self._run(f"ALTER SEQUENCE {_name(name)} RESTART {following}")

    def _copy_views(self, source: str, target: str, names: list[str], there: Mapping[str, str]) -> None:
        """Copy views. Views may use each other, so a view that cannot be created yet is tried again after the others."""
        wanted = {
            name: _elsewhere(str(self._run(f"SHOW CREATE VIEW {_name(source)}.{_name(name)}")[0][1]), source, target) for name in names
        }
        waiting, refused = [name for name in names if name not in there or self._view(name) != wanted[name]], UnitError("")
        while waiting:
            made = []
            for name in waiting:
                try:
                    self._run(f"DROP VIEW IF EXISTS {_name(name)}")
                    self._run(wanted[name])
                    made.append(name)
                except UnitError as error:
                    refused = error
            if not made:
                raise refused
            waiting = [name for name in waiting if name not in made]

    def _view(self, name: str) -> str:
        return str(self._run(f"SHOW CREATE VIEW {_name(name)}")[0][1])

    def _routines(self, database: str, as_in: str) -> dict[tuple[str, str], Routine]:
        """Return triggers, procedures, functions and events, with their statements written for the database *as_in*."""
        found: dict[tuple[str, str], Routine] = {}
        for kind, what in ROUTINES.items():
            for name, table in self._run(what.names, database):
                with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
                    cursor.execute(f"SHOW CREATE {kind} {_name(database)}.{_name(name)}")
                    written = _elsewhere(str(cursor.fetchone()[what.column]), database, as_in)
                found[kind, str(name)] = Routine(written, str(table))
        return found

    def _copy_rights(self, source: str, target: str) -> None:
        """Copy the rights on a database. They are stored under the database's name, in which `_` and `%` are wildcards."""
        columns = [str(row[0]) for row in self._run(f"{_COLUMNS} AND column_name <> 'Db'", "mysql", "db")]
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


_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
_KINDS = {"BASE TABLE": "TABLE", "VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}


def _name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _pattern(name: str) -> str:
    return re.sub(r"([_%\\])", r"\\\1", name)


def _elsewhere(written: str, source: str, target: str) -> str:
    """Replace the database name in a statement from SHOW CREATE."""
    return written.replace(f"{_name(source)}.", f"{_name(target)}.")
