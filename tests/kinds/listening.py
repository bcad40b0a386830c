"""The addresses on which the processes of an instance listen, according to the kernel."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

import pytest

from envctl.keeper.process_marks import SUPERVISOR, marked
from envctl.keeper.system import processes, variables, with_descendants
from envctl.session import Session
from tests.kinds.support import Running


def listens_here_alone(up: Running, private: dict[str, set[str]] | None = None) -> None:
    """Check that all processes of *up* listen on 127.0.0.1 only.

    *private* maps a service to the names of its internal ports, which must be in use and appear in no output of envctl.
    """
    if up.project.engine != "local" or not sys.platform.startswith("linux"):
        pytest.skip("processes of this machine, as /proc shows them")
    found = listening(pids_of(up.shown["id"]))
    elsewhere = {(_name(pid), host) for pid, places in found.items() for host, _ in places if host != "127.0.0.1"}
    assert elsewhere <= {("epmd", "::1")}, "Erlang's name server always listens there too"
    ports = {port for places in found.values() for _, port in places}
    shown = {at["port"] for service in up.shown["services"].values() for at in service["endpoints"].values()}
    assert shown <= ports | _idle(up)
    for service in set(private or ()) - up.without.keys():
        _keeps_to_itself(up, service, (private or {})[service], ports)


def _idle(up: Running) -> set[int]:
    """Return the ports that a test declares but on which no program listens."""
    return {at["port"] for service in up.shown["services"].values() for name, at in service["endpoints"].items() if name == "idle"}


def _keeps_to_itself(up: Running, service: str, names: set[str], ports: set[int]) -> None:
    record = Session.here().store.load(up.shown["id"])
    assert record is not None
    private = {name[1:]: port for (owner, name), port in record.allocation.ports.items() if owner == service and name.startswith(".")}
    assert private.keys() == names
    assert set(private.values()) <= ports, "each of them was given out, and is used"
    told = [up.project.envctl(*words).ok().out for words in (["status", up.name, "--json"], ["env", up.name])]
    assert not [number for number in private.values() if str(number) in "".join(told)]


def listening(pids: set[int]) -> dict[int, set[tuple[str, int]]]:
    """Return the addresses at which each process accepts TCP connections or datagrams."""
    owners = {inode: pid for pid in pids for inode in _sockets(pid)}
    found: dict[int, set[tuple[str, int]]] = {}
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in owners:
                found.setdefault(owners[fields[9]], set()).add(_address(fields[1]))
    return found


def _sockets(pid: int) -> list[str]:
    try:
        links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def _address(text: str) -> tuple[str, int]:
    """The kernel prints addresses as words of four bytes in the machine's byte order."""
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)


def pids_of(id: str) -> set[int]:
    """Return the process ids of an instance and its keeper.

    PostgreSQL overwrites its mark, so its processes are found through their supervisor; the keeper is the supervisor's parent.
    """
    table = processes()
    supervisors = {pid for pid, values in variables([SUPERVISOR]).items() if values.get(SUPERVISOR, "").startswith(id)}
    return with_descendants(supervisors | set(marked(id)), table) | {table[pid].parent for pid in supervisors}


def words(pid: int) -> bytes:
    """Return the command line of the process; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    return os.path.basename(words(pid).split(b"\0")[0].decode())
