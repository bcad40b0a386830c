"""Tests of drivers that stay connected between two uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envctl.units import Driver, Emptied, UnitError
from envctl.units.connections import Connections, once

SERVER = {"host": "127.0.0.1", "port": 1}


class Counted(Emptied):
    """A driver that records whether it was closed.

    Attributes:
        broken: Whether its connection is broken.
    """

    def __init__(self) -> None:
        self.broken = self.closed = False

    def reset(self, template: str, unit: str) -> None:
        if self.broken:
            raise UnitError("the server has closed the connection")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    found: list[Counted] = []

    def connected(_driver: str, _properties: object) -> Driver:
        found.append(Counted())
        return found[-1]

    for module in ("envctl.units", "envctl.units.connections"):
        monkeypatch.setattr(f"{module}.connected", connected)
    return found


def reset(driver: Driver) -> Driver:
    driver.reset("", "")
    return driver


def test_one_is_used_again_for_the_same_server_alone(made: list[Counted]) -> None:
    connections = Connections()
    first = connections.use("postgres", SERVER, reset)
    assert connections.use("postgres", {**SERVER}, reset) is first
    assert connections.use("postgres", {**SERVER, "port": 2}, reset) is not first
    assert len(made) == 2


def test_nobody_gets_one_that_is_in_use(made: list[Counted]) -> None:
    connections = Connections()
    inner: Callable[[Driver], tuple[Driver, Driver]] = lambda one: (one, connections.use("postgres", SERVER, reset))  # noqa: E731
    one, other = connections.use("postgres", SERVER, inner)
    assert one is not other
    assert len(made) == 2


def test_a_server_that_was_started_anew_is_connected_again(made: list[Counted]) -> None:
    connections = Connections()
    connections.use("postgres", SERVER, reset)
    made[0].broken = True
    assert connections.use("postgres", SERVER, reset) is made[1]
    assert made[0].closed


def test_what_fails_over_a_new_connection_fails(made: list[Counted]) -> None:
    def refused(_driver: Driver) -> None:
        raise UnitError("no")

    with pytest.raises(UnitError, match="no"):
        Connections().use("postgres", SERVER, refused)
    assert (len(made), made[0].closed) == (1, True)


def test_a_command_closes_it_at_once(made: list[Counted]) -> None:
    once("postgres", SERVER, reset)
    assert made[0].closed
