"""Where programs listen, as Linux tells: what a service that never gets ready listens on instead."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
COMMAND = ("cat", *TABLES)
"""What prints them inside a container."""
LISTENS = "0A"
DOCKERS_DNS = "127.0.0.11"

Address = tuple[str, int]


def addresses(tables: str, inodes: Collection[str] | None = None) -> list[Address]:
    """The addresses in *tables* that somebody listens on; only those of sockets with *inodes*, where these are given."""
    rows = [line.split() for line in tables.splitlines()]
    found = [_address(row[1]) for row in rows if len(row) > 9 and row[3] == LISTENS and (inodes is None or row[9] in inodes)]
    return sorted({each for each in found if each[0] != DOCKERS_DNS}, key=lambda each: (each[1], each[0]))


def _address(text: str) -> Address:
    """`0100007F:1F90`: each four bytes are in this machine's order, the port is not."""
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words)), int(port, 16)


def addresses_of(pids: Collection[int]) -> list[Address]:
    """Where processes of this machine listen."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    return addresses("".join(Path(table).read_text() for table in TABLES if os.path.exists(table)), inodes)


def _sockets(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it has ended, or is another user's
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                kind, _, inode = os.readlink(entry.path).partition(":")
                if kind == "socket":
                    yield inode.strip("[]")
