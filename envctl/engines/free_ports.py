"""Ports of this machine that nobody listens on, and how they are held until their servers do."""

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
"""Below what kernels hand out for outgoing connections (32768 and up), so that a stopped service finds its port free again."""


def allocate_ports(
    wanted: Mapping[PortKey, int], kept: Mapping[PortKey, int], taken: Iterable[int], usable: Callable[[PortKey, range], bool]
) -> dict[PortKey, int]:
    """The first of so many ports in a row for each of *wanted*: those of *kept*, and free ones for the rest.

    Args:
        usable: whether a key can have that row now, beside what is known to be taken.

    Raises:
        EnvctlError: there are none left.
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
    """For ports of another machine, which nobody can look at from here."""
    return True


def free_here(key: PortKey, row: range) -> bool:
    """For ports of this machine."""
    return all(map(bindable, row))


def bindable(port: int) -> bool:
    """Whether a server that sets SO_REUSEADDR could listen there now."""
    with suppress(OSError), _reusing(port):
        return True
    return False


def nobody_has(port: int) -> bool:
    """Whether a server without that option could listen there now, too, at any address."""
    with suppress(OSError):
        for host in ("127.0.0.1", "0.0.0.0"):
            with socket.socket() as probe:
                probe.bind((host, port))
        return True
    return False


def any_port() -> int:
    """One that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class HeldPorts:
    """Ports that nobody else is given until their servers listen, by what they are for.

    On Linux they are bound, not listening, with SO_REUSEADDR, so that a server that sets the option (nearly all do) may still listen.
    """

    sockets: dict[PortKey, list[socket.socket]] = field(default_factory=dict)

    def hold(self, key: PortKey, row: range) -> bool:
        """Whether they were free. What is asked for a second time is not held: its server could not listen."""
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
        for found in self.sockets.values():
            _close(found)


def _held(port: int) -> socket.socket | None:
    """First without the option, with which two would be given one port."""
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
