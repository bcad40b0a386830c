"""Ports of local processes: chosen, and held until the server listens."""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from random import sample

from envctl.engines.common.ports import PORTS
from envctl.errors import EnvctlError
from envctl.instance.allocation import PortKey


def hold_ports(wanted: Mapping[PortKey, int], taken: Iterable[int], held: dict[PortKey, list[socket.socket]]) -> dict[PortKey, int]:
    """The first of so many ports in a row for each of *wanted*.

    On Linux they are held in *held*: bound, not listening, with SO_REUSEADDR, so that nobody else is given one while a server
    that sets the option (nearly all do) may still listen. One that is asked for a second time is not held: its server did not.
    """
    used, found = set(taken), {}
    candidates = iter(sample(PORTS, len(PORTS)))
    for key, width in wanted.items():
        again = key in held
        for each in held.pop(key, []):
            each.close()
        row, sockets = next(_rows(candidates, width, used), (None, []))
        if row is None:
            raise EnvctlError(f"no free port between {PORTS.start} and {PORTS.stop}", hint="`envctl list --all` shows what runs")
        used |= set(row)
        found[key], held[key] = row.start, sockets
        if again or sys.platform != "linux":
            for each in sockets:
                each.close()
    return found


def _rows(candidates: Iterator[int], width: int, used: Collection[int]) -> Iterator[tuple[range, list[socket.socket]]]:
    for first in candidates:
        row = range(first, first + width)
        if row.stop > PORTS.stop or any(port in used for port in row):
            continue
        sockets = [each for port in row if (each := _bound(port)) is not None]
        if len(sockets) == width:
            yield row, sockets
        else:
            for each in sockets:
                each.close()


def _bound(port: int) -> socket.socket | None:
    """First without the option, with which two would be given one port."""
    with suppress(OSError):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        holder = socket.socket()
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            raise
        return holder
    return None
