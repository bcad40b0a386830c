"""PostgreSQL units: databases, created by copying the files of a template to which no client connects.

A reset copies the template to a spare database and then swaps the names in one transaction, so that clients are without the database for
only a few milliseconds. They lose their connections. Everything in the database is reset: sequences, materialized views, large objects, the
schema itself. Objects of the server, such as roles, are not part of a unit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from envctl.readiness.postgres import lenient_saslprep
from envctl.units import Size, TemplateGone, UnitError

IN_USE, NO_SUCH_DATABASE = "55006", "3D000"
FILE_COPY_SINCE = 150000
PATIENCE = 5.0
"""The number of seconds to wait for the end of sessions that were terminated."""
ALIVE = "pg_terminate_backend(pid) OR (pg_stat_file('/proc/' || pid, true)).isdir"
"""An SQL condition on a pid: it terminates the session again, and is true until the session and its process (if /proc exists) are gone."""
HOME = "envctl_home"
"""The driver's own database, for servers whose tests use the database `postgres`; on other servers the driver connects to `postgres`."""
SPARE, OLD = "_envctl_next", "_envctl_old"
LONGEST = 63
"""The maximum length of a name in bytes; the server would cut longer names, so that two names could become equal."""


def open_driver(properties: Mapping[str, Any]) -> PostgresDriver:
    """Connect to the server. Raise UnitError if there is no connection, or if the login is refused."""
    from pg8000 import native

    lenient_saslprep()
    try:
        return PostgresDriver(_connected(properties, _home(properties)))
    except (native.DatabaseError, native.InterfaceError, OSError) as error:
        raise UnitError(f"PostgreSQL at {properties['host']}:{properties['port']}: {_words(error)}") from None


def _home(properties: Mapping[str, Any]) -> str:
    """Return a database in which only drivers have sessions: a database that is copied or renamed must have none."""
    if "postgres" not in (properties.get("databases") or ()):
        return "postgres"
    connection = _connected(properties, "template1")
    try:
        if not connection.run("SELECT FROM pg_database WHERE datname = :home", home=HOME):
            connection.run(f"CREATE DATABASE {HOME} TEMPLATE template0")
    finally:
        connection.close()
    return HOME


def _connected(properties: Mapping[str, Any], database: str) -> Any:
    from pg8000 import native

    connect: Any = native.Connection
    return connect(
        str(properties["username"]), password=str(properties["password"]), host=str(properties["host"]), port=int(properties["port"]),
        database=database, timeout=60,
    )  # fmt: skip


class PostgresDriver:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._strategy = " STRATEGY FILE_COPY" if int(self._run("SHOW server_version_num")[0][0]) >= FILE_COPY_SINCE else ""

    def keep(self, base: str, template: str) -> None:
        self.drop(template)
        with self._without_sessions(base):
            self._copy(base, template)
        self._allow(template, False)

    def clone(self, template: str, unit: str) -> None:
        self.drop(unit)
        self._copy(template, unit)
        self._allow(unit, True)

    def reset(self, template: str, unit: str) -> None:
        spare, old = _beside(unit, SPARE), _beside(unit, OLD)
        self.prepare(template, unit)
        if not self._there(unit):
            self._run(f"ALTER DATABASE {_name(spare)} RENAME TO {_name(unit)}")
            return
        with self._without_sessions(unit):
            self._run("BEGIN")
            self._run(f"ALTER DATABASE {_name(unit)} RENAME TO {_name(old)}")
            self._run(f"ALTER DATABASE {_name(spare)} RENAME TO {_name(unit)}")
            self._run("COMMIT")

    def prepare(self, template: str, unit: str) -> None:
        """Put a spare copy beside the unit, which only needs to be renamed, and drop the database that the previous reset replaced."""
        spare = _beside(unit, SPARE)
        self._drop(_beside(unit, OLD))
        if not self._there(spare):
            self._copy(template, spare)

    def size(self, unit: str) -> Size:
        return Size(
            disk=sum(int(row[0]) for row in self._run("SELECT pg_database_size(oid) FROM pg_database WHERE datname = :unit", unit=unit))
        )

    def drop(self, unit: str) -> None:
        self._drop(unit, _beside(unit, SPARE), _beside(unit, OLD))

    def close(self) -> None:
        self._connection.close()

    def _copy(self, source: str, target: str) -> None:
        """Copy the files, and what PostgreSQL does not copy with them: owner, rights and settings of the database."""
        owner = self._run("SELECT rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = :source", source=source)
        if not owner:
            raise TemplateGone(f"there is no database '{source}' to copy")
        self._run(f"CREATE DATABASE {_name(target)} TEMPLATE {_name(source)} OWNER {_name(owner[0][0])}{self._strategy}")
        both = {"source": source, "target": target}
        rights = "UPDATE pg_database t SET datacl = s.datacl FROM pg_database s WHERE s.datname = :source AND t.datname = :target"
        self._run(f"{rights} AND t.datacl IS DISTINCT FROM s.datacl", **both)
        settings = "SELECT t.oid, setrole, setconfig FROM pg_db_role_setting JOIN pg_database s ON s.oid = setdatabase, pg_database t"
        self._run(f"INSERT INTO pg_db_role_setting {settings} WHERE s.datname = :source AND t.datname = :target", **both)

    @contextmanager
    def _without_sessions(self, database: str) -> Iterator[None]:
        """Keep all clients out of *database*.

        Connections are allowed again at the end, by the database's oid, so that a database renamed inside the block is included.
        """
        oid = self._run("SELECT oid FROM pg_database WHERE datname = :database", database=database)
        if not oid:
            raise TemplateGone(f"there is no database '{database}'")
        self._allow(database, False)
        try:
            self._end_sessions(database)
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        finally:
            self._run("UPDATE pg_database SET datallowconn = true WHERE oid = :oid", oid=oid[0][0])

    def _end_sessions(self, database: str) -> None:
        """End all sessions, and wait until the last of their processes is gone.

        A process that is not listed any more still counts for a moment, and renaming would wait 100 ms for it. Until its socket is closed,
        its client also believes that the connection can be used.
        """
        until, pids = time.monotonic() + PATIENCE, set[int]()
        while True:
            listed = self._run("SELECT pid FROM pg_stat_activity WHERE datname = :database", database=database)
            pids |= {row[0] for row in listed}
            left = self._run(f"SELECT pid FROM unnest(CAST(:pids AS int[])) pid WHERE {ALIVE}", pids=[*pids])
            if not listed and not left:
                return
            if time.monotonic() > until:
                raise UnitError(f"sessions in '{database}' do not end")
            time.sleep(0.001)

    def _allow(self, database: str, allowed: bool) -> None:
        self._run(f"ALTER DATABASE {_name(database)} ALLOW_CONNECTIONS {'true' if allowed else 'false'}")

    def _there(self, *databases: str) -> list[str]:
        return [row[0] for row in self._run("SELECT datname FROM pg_database WHERE datname = any(:databases)", databases=[*databases])]

    def _drop(self, *databases: str) -> None:
        self._end_makers(databases)
        for database in self._there(*databases):
            slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND database = :database"
            self._run(slots, database=database)
            self._run(f"DROP DATABASE IF EXISTS {_name(database)} WITH (FORCE)")

    def _end_makers(self, databases: Sequence[str]) -> None:
        """End sessions that are creating one of *databases*.

        The server process of a killed client continues, and would create the database later.
        """
        begin = [f"CREATE DATABASE {_name(database)} " for database in databases]
        its = "state = 'active' AND EXISTS (SELECT FROM unnest(CAST(:begin AS text[])) b WHERE left(query, length(b)) = b)"
        until, sql = time.monotonic() + PATIENCE, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {its}"
        while self._run(sql, begin=begin):
            if time.monotonic() > until:
                raise UnitError(f"'{databases[0]}' is still being created by another program")
            time.sleep(0.01)

    def _run(self, sql: str, **values: Any) -> list[Any]:
        from pg8000 import native

        try:
            return list(self._connection.run(sql, **values) or ())
        except (native.DatabaseError, native.InterfaceError, OSError) as error:
            raise UnitError(f"PostgreSQL: {_words(error)}") from None


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _beside(unit: str, ending: str) -> str:
    """Return the name of a database beside *unit*; a name that is too long is cut before the suffix *ending*."""
    kept = unit.encode()[: LONGEST - len(ending)].decode(errors="ignore")
    return kept + ending


def _words(error: Exception) -> str:
    fields = error.args[0] if error.args else error
    return str(fields.get("M", fields)) if isinstance(fields, dict) else str(fields)
