"""AMQP 0-9-1: the virtual host and a channel in it can be opened."""

from __future__ import annotations

import errno
from typing import Any

from envctl.readiness import ENDED, LoginRefused, NotReady, Target, foreign_errors, shown


def _opened(target: Target) -> Any:
    import amqp

    of = target.properties
    connection: Any = amqp.Connection
    return connection(
        host=f"{target.host}:{target.port}",
        userid=str(of["username"]),
        password=str(of["password"]),
        virtual_host=str(of.get("virtual_host", "/")),
        login_method="PLAIN",
        connect_timeout=target.timeout,
        read_timeout=target.timeout,
        write_timeout=target.timeout,
    )


def probe(target: Target) -> None:
    """Raise NotReady with the broker's message, or OSError if there is no connection."""
    from amqp.exceptions import AccessRefused, AMQPError

    with foreign_errors():
        connection = _opened(target)
        try:
            connection.connect()
            connection.channel()
        except AMQPError as error:
            kind = LoginRefused if isinstance(error, AccessRefused) else NotReady
            raise kind(shown(getattr(error, "reply_text", "") or error)) from error
        except OSError as error:
            # py-amqp sets options of a socket that has just been reset, and reports an end of data in this way.
            if error.errno == errno.EINVAL or "closed connection" in str(error):
                raise NotReady(ENDED) from error
            raise
        finally:
            # close() would wait for a handshake with a broker that has just refused the connection.
            connection.collect()
