"""Ports of this machine that nobody listens on."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Iterable, Mapping

from envctl.errors import EnvctlError
from envctl.instance.allocation import PortKey

PORTS = range(20000, 32000)
"""Below what kernels hand out for outgoing connections (32768 and up), so that a stopped service finds its port free again."""


def allocate_ports(wanted: Mapping[PortKey, int], kept: Mapping[PortKey, int], taken: Iterable[int], probe: bool) -> dict[PortKey, int]:
    """Those of *kept* that are wanted, and free ones for the rest; see `free_ports`."""
    ports = {key: number for key, number in kept.items() if key in wanted}
    missing = {key: width for key, width in wanted.items() if key not in ports}
    return ports | free_ports(missing, [*ports.values(), *taken], probe)


def free_ports(wanted: Mapping[PortKey, int], taken: Iterable[int], probe: bool) -> dict[PortKey, int]:
    """The first of so many ports in a row for each of *wanted*; with *probe* (the daemon is on this machine) they can be bound now."""
    used, found = set(taken), {}
    candidates = random.sample(PORTS, len(PORTS))
    for key, width in wanted.items():
        rows = (range(port, port + width) for port in candidates if port not in used)
        row = next((row for row in rows if all(_free(port, used, probe) for port in row)), None)
        if row is None:
            raise EnvctlError(f"no free port between {PORTS.start} and {PORTS.stop}", hint="`envctl list --all` shows what runs")
        used |= set(row)
        found[key] = row.start
    return found


def _free(port: int, used: Collection[int], probe: bool) -> bool:
    return port in PORTS and port not in used and (not probe or bindable(port))


def bindable(port: int) -> bool:
    """Whether a server that sets SO_REUSEADDR could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_port() -> int:
    """One that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
