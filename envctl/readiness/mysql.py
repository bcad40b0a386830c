"""MariaDB and MySQL: log in to the named database and run `query` (`select 1` without it)."""

from __future__ import annotations

from typing import Any

from envctl.readiness import LoginRefused, NotReady, Target, foreign_errors, lent_socket, shown

ACCESS_DENIED = 1045


def probe(target: Target) -> None:
    """Raises NotReady with the server's words, or for no connection."""
    import pymysql

    of = target.properties
    connect: Any = pymysql.connect
    with foreign_errors(), lent_socket(target) as lent:
        try:
            connection = connect(
                defer_connect=True,
                user=str(of["username"]),
                # Bytes: PyMySQL writes a text in Latin-1, the server hashes what it got in UTF-8.
                password=str(of["password"]).encode(),
                database=str(of["database"]),
                charset="utf8mb4",
                read_timeout=target.timeout,
                write_timeout=target.timeout,
            )
            connection.connect(lent)
            with connection, connection.cursor() as cursor:
                cursor.execute(str(target.options.get("query") or "select 1"))
        except pymysql.MySQLError as error:
            kind = LoginRefused if error.args and error.args[0] == ACCESS_DENIED else NotReady
            raise kind(shown(error.args[-1] if error.args else error)) from error
