"""The addresses on which programs listen, as Linux lists them in /proc: shown for a service that does not become ready."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from envctl.errors import EnvctlError

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
COMMAND = ("cat", *TABLES)
"""The command that prints the tables inside a container."""
LISTENS = "0A"
DOCKERS_DNS = "127.0.0.11"

Address = tuple[str, int]


def addresses(tables: str, inodes: Collection[str] | None = None) -> list[Address]:
    """Return the addresses in *tables* on which a program listens; if *inodes* is given, only those of sockets with these inodes."""
    rows = [line.split() for line in tables.splitlines()]
    found = [_address(row[1]) for row in rows if len(row) > 9 and row[3] == LISTENS and (inodes is None or row[9] in inodes)]
    return sorted({each for each in found if each[0] != DOCKERS_DNS}, key=lambda each: (each[1], each[0]))


def _address(text: str) -> Address:
    """Parse `0100007F:1F90`: each group of four bytes is in this machine's byte order, the port is not."""
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None  # Java programs listen on 127.0.0.1 in this form
    return str(mapped or address), int(port, 16)


def addresses_beside(pid: int, container: str) -> list[Address]:
    """Return the addresses on which programs listen in the network namespace of the process *pid*.

    Raises:
        EnvctlError: *pid* is not a process of *container* on this machine, or this user may not inspect it.
    """
    try:
        if container in Path(f"/proc/{pid}/cgroup").read_text():
            return addresses("".join(Path(f"/proc/{pid}/net/{Path(table).name}").read_text() for table in TABLES))
    except OSError:
        pass
    raise EnvctlError("its image has no program that prints where it listens")


def addresses_of(pids: Collection[int]) -> list[Address]:
    """Return the addresses on which the processes *pids* of this machine listen."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    return addresses("".join(Path(table).read_text() for table in TABLES if os.path.exists(table)), inodes)


def _sockets(pid: int) -> Iterator[str]:
    with suppress(OSError):  # the process has ended, or belongs to another user
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                kind, _, inode = os.readlink(entry.path).partition(":")
                if kind == "socket":
                    yield inode.strip("[]")
