"""PostgreSQL: the login to the named database and `query` (`select 1` without it) succeed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from envctl.readiness import LoginRefused, NotReady, Target, foreign_errors, lent_socket, shown

REFUSED = ("28P01", "28000")
"""The error codes for a wrong password, and for a user or an address that may not log in."""


def _not_ready(error: Exception) -> NotReady:
    """Return the error as NotReady. pg8000 passes the server's error fields as a dict: C is the code, M the message."""
    fields = error.args[0] if error.args else error
    if not isinstance(fields, dict):
        return NotReady(shown(fields))
    return (LoginRefused if fields.get("C") in REFUSED else NotReady)(shown(fields.get("M", fields)))


@cache
def lenient_saslprep() -> None:
    """Make scramp accept passwords that SASLprep refuses (with a newline, for example) unchanged, as PostgreSQL and libpq do."""
    core: Any = import_module("scramp.core")
    strict = core.saslprep

    def lenient(source: str) -> str:
        try:
            return str(strict(source))
        except core.ScramException:
            return source

    core.saslprep = lenient


def probe(target: Target) -> None:
    """Raise NotReady with the server's message, or OSError if there is no connection."""
    from pg8000 import native

    lenient_saslprep()
    of = target.properties
    connect: Any = native.Connection
    with foreign_errors(), lent_socket(target) as lent:
        try:
            connection = connect(
                str(of["username"]),
                password=str(of["password"]),
                database=str(of["database"]),
                sock=lent,
                ssl_context=False,
            )
            connection.run(str(target.options.get("query") or "select 1"))
            connection.close()
        except (native.DatabaseError, native.InterfaceError) as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise _not_ready(error) from error
