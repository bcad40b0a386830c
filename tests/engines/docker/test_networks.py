from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.engines.docker import networks
from envctl.engines.docker.networks import POOL, PORTS, free_ports, free_subnet
from envctl.errors import EnvctlError

KEYS = [("db", "main"), ("mail", "smtp"), ("mail", "web")]
SUBNETS = st.builds(
    lambda address, prefix: str(ipaddress.ip_network((address, prefix), strict=False)),
    st.ip_addresses(network="10.231.0.0/16").map(str),
    st.integers(18, 30),
)


class FakeApi:
    """A daemon's networks."""

    def __init__(self, *subnets: str) -> None:
        self.found: list[dict[str, Any]] = [{"IPAM": {"Config": [{"Subnet": subnet}]}} for subnet in subnets]

    def get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        assert path == "/networks"
        return self.found


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A machine whose routes a test writes."""
    path = tmp_path_factory.mktemp("proc") / "route"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "Path", lambda name: {"/proc/net/route": path}[name])
        yield path


@pytest.fixture(autouse=True)
def _no_routes(routes: Path) -> None:
    routes.unlink(missing_ok=True)


def write_routes(path: Path, *subnets: str) -> None:
    def number(address: ipaddress.IPv4Address) -> str:
        return address.packed[::-1].hex().upper()

    nets = [ipaddress.IPv4Network(subnet) for subnet in subnets]
    lines = [f"eth0\t{number(n.network_address)}\t00000000\t0001\t0\t0\t0\t{number(n.netmask)}\t0\t0\t0\n" for n in nets]
    path.write_text("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" + "".join(lines))


def free(*taken: str, size: int = 5, id: str = "t-123456", refused: list[str] | None = None, pool: str = POOL) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(free_subnet(FakeApi(*taken), id, size, refused or [], pool))


# Subnets


@given(st.lists(SUBNETS, max_size=6), st.lists(SUBNETS, max_size=6), st.lists(SUBNETS, max_size=3), st.text(max_size=8))
def test_a_subnet_overlaps_with_nothing(routes: Path, taken: list[str], routed: list[str], refused: list[str], id: str) -> None:
    write_routes(routes, *routed)
    found = free(*taken, id=id, refused=refused)
    assert found.subnet_of(ipaddress.IPv4Network(POOL))
    assert not any(found.overlaps(ipaddress.IPv4Network(other)) for other in [*taken, *routed, *refused])


@pytest.mark.parametrize("size", [0, 1, 5, 13, 28, 29, 60, 61, 100, 500])
def test_a_subnet_has_room(size: int) -> None:
    """Network, broadcast and gateway take three addresses."""
    found = free(size=size)
    assert found.num_addresses >= size + 3
    assert found.prefixlen <= 27


def test_the_same_instance_gets_the_same_subnet_and_others_another() -> None:
    assert free(id="a") == free(id="a")
    assert len({free(id=str(number)) for number in range(20)}) > 15


def test_a_taken_one_is_passed_over() -> None:
    first = free()
    assert free(str(first)) != first


def test_a_default_route_takes_nothing(routes: Path) -> None:
    write_routes(routes, "0.0.0.0/0")
    assert free().subnet_of(ipaddress.IPv4Network(POOL))


@pytest.mark.parametrize("network", [{}, {"IPAM": None}, {"IPAM": {"Config": None}}, {"IPAM": {"Config": [{}]}}])
def test_networks_without_a_subnet(network: dict[str, Any]) -> None:
    api = FakeApi("fd00::/64")
    api.found.append(network)
    assert free_subnet(api, "x", 1, [])


def test_a_full_pool() -> None:
    with pytest.raises(EnvctlError, match=r"no free subnet in 10\.0\.0\.0/26") as caught:
        free("10.0.0.0/27", "10.0.0.32/30", pool="10.0.0.0/26")
    assert caught.value.hint.startswith("`envctl gc` removes what has expired")


# Ports


def test_free_ports_are_below_those_of_the_kernel() -> None:
    found = free_ports(dict.fromkeys(KEYS, 1), [], probe=True)
    assert list(found) == KEYS
    assert len(set(found.values())) == len(KEYS)
    assert all(port in PORTS for port in found.values())
    assert PORTS.stop <= 32768


def test_taken_ports_are_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "PORTS", range(20000, 20004))
    assert set(free_ports(dict.fromkeys(KEYS, 1), [20002], probe=False).values()) == {20000, 20001, 20003}


def test_ports_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas take one each of a range; nobody else gets one of it."""
    monkeypatch.setattr(networks, "PORTS", range(20000, 20006))
    found = free_ports({KEYS[0]: 3, KEYS[1]: 1}, [20001], probe=False)
    assert found[KEYS[0]] in (20002, 20003)
    assert found[KEYS[1]] not in range(found[KEYS[0]], found[KEYS[0]] + 3)
    with pytest.raises(EnvctlError, match="no free port"):
        free_ports({KEYS[0]: 4}, [20001, 20004], probe=False)


def test_a_port_that_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(networks, "PORTS", range(port, port + 1))
        with pytest.raises(EnvctlError, match="no free port"):
            free_ports({KEYS[0]: 1}, [], probe=True)
        assert free_ports({KEYS[0]: 1}, [], probe=False) == {KEYS[0]: port}


def test_no_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "PORTS", range(20000, 20002))
    with pytest.raises(EnvctlError, match="no free port between 20000 and 20002"):
        free_ports(dict.fromkeys(KEYS, 1), [], probe=False)


def test_nothing_wanted() -> None:
    assert free_ports({}, [], probe=True) == {}
