"""TCP: the port accepts a connection and does not close it at once."""

from __future__ import annotations

import socket
from contextlib import suppress

from envctl.readiness import ENDED, NotReady, Target, foreign_errors, port_of


def probe(target: Target) -> None:
    """Raise NotReady if the connection ends at once, or OSError if there is none."""
    # A connection that is reset before the kernel reports it as open fails in connect.
    with foreign_errors(), socket.create_connection((target.host, port_of(target)), timeout=target.timeout) as connection:
        connection.settimeout(min(target.lasting, target.timeout))
        with suppress(TimeoutError):
            if not connection.recv(1):
                raise NotReady(ENDED)
