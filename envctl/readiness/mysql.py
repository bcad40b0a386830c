"""MariaDB and MySQL: the login to the named database and `query` (`select 1` without it) succeed."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from envctl.readiness import ENDED, LoginRefused, NotReady, Target, foreign_errors, lent_socket, shown

ACCESS_DENIED = 1045
GREETING = 1024
"""The maximum size, in bytes, of the greeting, which the server sends first."""
HAS_TLS = 0x0800


def probe(target: Target) -> None:
    """Raise NotReady with the server's message, or if there is no connection."""
    with foreign_errors(), lent_socket(target) as lent:
        greeting = lent.recv(GREETING, socket.MSG_PEEK)
        if not greeting:
            raise NotReady(ENDED)
        _ask(target, lent, _encryption(greeting))


def _ask(target: Target, lent: socket.socket, encryption: dict[str, Any]) -> None:
    import pymysql

    of = target.properties
    connect: Any = pymysql.connect
    try:
        connection = connect(
            defer_connect=True,
            user=str(of["username"]),
            # Bytes: PyMySQL encodes a text in Latin-1, but the server expects UTF-8.
            password=str(of["password"]).encode(),
            database=str(of["database"]),
            charset="utf8mb4",
            read_timeout=target.timeout,
            write_timeout=target.timeout,
            **encryption,
        )
        connection.connect(lent)
        with connection, connection.cursor() as cursor:
            cursor.execute(str(target.options.get("query") or "select 1"))
    except pymysql.MySQLError as error:
        kind = LoginRefused if error.args and error.args[0] == ACCESS_DENIED else NotReady
        raise kind(shown(error.args[-1] if error.args else error)) from error


def _encryption(greeting: bytes) -> dict[str, Any]:
    """Return PyMySQL's options for TLS if the server supports it, without loading the certificates of this machine.

    Loading them takes 25 ms in each attempt, and the probe verifies no certificate. (In the greeting, the version ends with a zero byte.
    It is followed by the connection id, half of a salt, a zero byte, and the lower half of the server's capabilities.)
    """
    at = greeting.find(b"\0", 5) + 14
    if not int.from_bytes(greeting[at : at + 2], "little") & HAS_TLS:
        return {"ssl_disabled": True}
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    return {"ssl": anybody}
