from __future__ import annotations

import socket

import pytest

from envctl.engines import free_ports
from envctl.engines.free_ports import PORTS, allocate_ports, any_port, anywhere, bindable, free_here
from envctl.errors import EnvctlError

KEYS = [("db", "main"), ("mail", "smtp"), ("mail", "web")]


def test_free_ports_are_below_those_of_the_kernel() -> None:
    found = allocate_ports(dict.fromkeys(KEYS, 1), {}, [], free_here)
    assert list(found) == KEYS
    assert len(set(found.values())) == len(KEYS)
    assert all(port in PORTS for port in found.values())
    assert PORTS.stop <= 32768


def test_taken_ports_are_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "PORTS", range(20000, 20004))
    assert set(allocate_ports(dict.fromkeys(KEYS, 1), {}, [20002], anywhere).values()) == {20000, 20001, 20003}


def test_ports_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replicas of a service take consecutive ports, and no other service gets a port of that range."""
    monkeypatch.setattr(free_ports, "PORTS", range(20000, 20006))
    found = allocate_ports({KEYS[0]: 3, KEYS[1]: 1}, {}, [20001], anywhere)
    assert found[KEYS[0]] in (20002, 20003)
    assert found[KEYS[1]] not in range(found[KEYS[0]], found[KEYS[0]] + 3)
    with pytest.raises(EnvctlError, match="no free port"):
        allocate_ports({KEYS[0]: 4}, {}, [20001, 20004], anywhere)


def test_a_port_that_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(free_ports, "PORTS", range(port, port + 1))
        with pytest.raises(EnvctlError, match="no free port"):
            allocate_ports({KEYS[0]: 1}, {}, [], free_here)
        assert allocate_ports({KEYS[0]: 1}, {}, [], anywhere) == {KEYS[0]: port}


def test_no_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "PORTS", range(20000, 20002))
    with pytest.raises(EnvctlError, match="no free port between 20000 and 20002"):
        allocate_ports(dict.fromkeys(KEYS, 1), {}, [], anywhere)


def test_what_is_kept_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with three replicas keeps three consecutive ports, although the record has only the first."""
    monkeypatch.setattr(free_ports, "PORTS", range(20000, 20004))
    kept = {KEYS[0]: 20000, KEYS[2]: 20003}
    assert allocate_ports({KEYS[0]: 3, KEYS[1]: 1}, kept, [], anywhere) == {KEYS[0]: 20000, KEYS[1]: 20003}


def test_nothing_wanted() -> None:
    assert allocate_ports({}, {}, [], free_here) == {}


def test_the_kernel_chooses_one_that_is_free() -> None:
    assert bindable(any_port())


def test_one_that_somebody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not bindable(listener.getsockname()[1])
