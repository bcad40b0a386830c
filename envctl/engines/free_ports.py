"""Free ports of this machine, and how they are reserved until their servers listen."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import randrange

from envctl.errors import EnvctlError
from envctl.instance.allocation import PortKey

PORTS = range(20000, 32000)
"""The ports for services, below those of outgoing connections (32768 and up), so that the port of a stopped service stays free."""


def allocate_ports(
    wanted: Mapping[PortKey, int], kept: Mapping[PortKey, int], taken: Iterable[int], usable: Callable[[PortKey, range], bool]
) -> dict[PortKey, int]:
    """Return the first port of a row of consecutive ports for each key of *wanted*.

    Args:
        wanted: key to the number of consecutive ports.
        kept: key to the first port of an earlier allocation, which stays.
        taken: ports that must not be used for new rows.
        usable: whether a key can have that row now; called only for rows without known ports.

    Raises:
        EnvctlError: no free row of ports is left.
    """
    ports = {key: first for key, first in kept.items() if key in wanted}
    used = {*taken, *(port for key, first in ports.items() for port in range(first, first + wanted[key]))}
    begin = randrange(len(PORTS))
    candidates = [*PORTS[begin:], *PORTS[:begin]]
    for key in [key for key in wanted if key not in ports]:
        rows = (range(first, first + wanted[key]) for first in candidates)
        row = next((row for row in rows if row.stop <= PORTS.stop and used.isdisjoint(row) and usable(key, row)), None)
        if row is None:
            raise EnvctlError(f"no free port between {PORTS.start} and {PORTS.stop}", hint="`envctl list --all` shows what runs")
        used |= set(row)
        ports[key] = row.start
    return ports


def anywhere(key: PortKey, row: range) -> bool:
    """Accept every row: the ports of another machine cannot be checked from here."""
    return True


def free_here(key: PortKey, row: range) -> bool:
    """Return whether all ports of the row are free on this machine."""
    return all(map(bindable, row))


def bindable(port: int) -> bool:
    """Return whether a server that sets SO_REUSEADDR could listen on the port at 127.0.0.1 now."""
    with suppress(OSError), _reusing(port):
        return True
    return False


def nobody_has(port: int) -> bool:
    """Return whether a server without SO_REUSEADDR could listen on the port now, both at 127.0.0.1 and at 0.0.0.0."""
    with suppress(OSError):
        for host in ("127.0.0.1", "0.0.0.0"):
            with socket.socket() as probe:
                probe.bind((host, port))
        return True
    return False


def any_port() -> int:
    """Return a free port that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class HeldPorts:
    """Ports that are reserved until their servers listen, by the key of their allocation.

    On Linux, sockets are bound to them with SO_REUSEADDR, but do not listen: a server that sets the option, as nearly all do, can
    still listen there.
    """

    sockets: dict[PortKey, list[socket.socket]] = field(default_factory=dict)

    def hold(self, key: PortKey, row: range) -> bool:
        """Reserve the ports of the row, and return whether they were free.

        If the key already has reserved ports, these are released, and the new ones are only checked: the server of this key cannot
        listen on a reserved port.
        """
        again = key in self.sockets
        _close(self.sockets.get(key, ()))
        found = [each for port in row if (each := _held(port)) is not None]
        free = len(found) == len(row)
        if free:
            self.sockets[key] = found
        if again or not free or sys.platform != "linux":
            _close(found)
        return free

    def let_go(self) -> None:
        """Release all reserved ports."""
        for found in self.sockets.values():
            _close(found)


def _held(port: int) -> socket.socket | None:
    """Bind the port, first without SO_REUSEADDR: with that option, two processes could reserve the same port."""
    with suppress(OSError):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        return _reusing(port)
    return None


def _reusing(port: int) -> socket.socket:
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", port))
    except OSError:
        found.close()
        raise
    return found


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()
