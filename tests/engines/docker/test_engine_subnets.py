from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.engines.docker import engine
from envctl.engines.docker.engine import POOL, free_subnet
from envctl.errors import EnvctlError

SUBNETS = st.builds(
    lambda address, prefix: str(ipaddress.ip_network((address, prefix), strict=False)),
    st.ip_addresses(network="10.231.0.0/16").map(str),
    st.integers(20, 30),  # at most 15 subnets of these sizes never fill the pool
)


class FakeApi:
    """The networks of a fake daemon."""

    def __init__(self, *subnets: str) -> None:
        self.found: list[dict[str, Any]] = [{"IPAM": {"Config": [{"Subnet": subnet}]}} for subnet in subnets]

    def get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        assert path == "/networks"
        return self.found


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Replace /proc/net/route with a file that the tests write; yield its path."""
    path = tmp_path_factory.mktemp("proc") / "route"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "Path", lambda name: {"/proc/net/route": path}[name])
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
    """The network, broadcast and gateway addresses take three addresses of the subnet."""
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
