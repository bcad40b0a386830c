"""Test sixty instances at once: Docker's default address pools hold about thirty networks; envctl's hold all sixty."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator

import pytest

from envctl.engines import Wanted
from envctl.engines.docker.engine import DockerEngine, labelled, open_engine
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location
from envctl.process.threads import each
from envctl.session import Session

pytestmark = pytest.mark.docker

COUNT = 60
IDS = [f"many-{os.getpid()}-{number:02}" for number in range(COUNT)]


@pytest.fixture
def engine() -> Iterator[DockerEngine]:
    found = open_engine(Location("docker"), Session.here().host)
    yield found
    each(lambda name: found.remove(name, {}), IDS)
    assert not [entry for entry in labelled(found.connection.daemon, "envctl.instance")["network"] if entry["Name"] in IDS]


def test_sixty_instances_have_networks(engine: DockerEngine) -> None:
    from docker.types import IPAMConfig, IPAMPool

    def make(id: str) -> str:
        subnet = engine.allocate(id, Wanted({}, containers=5), Allocation(), (), ()).subnet
        assert subnet is not None
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
        engine.connection.api.create_network(id, ipam=ipam, labels={"envctl.instance": id, "envctl.name": id})
        return subnet

    subnets = [ipaddress.ip_network(make(id)) for id in IDS]
    assert len(set(subnets)) == COUNT
    assert not [(a, b) for a in subnets for b in subnets if a is not b and a.overlaps(b)]
    assert all(subnet.num_addresses >= 8 for subnet in subnets)
    assert engine.allocate("another", Wanted({}, containers=200), Allocation(), (), ()).subnet is not None, (
        "there is still room for a large one"
    )
