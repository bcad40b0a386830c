"""Tests of a keeper and other users: idle connections do not block it, and only the private socket accepts control requests."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from envctl.keeper import private_socket
from tests.keeper.keepers import Keeper, keeper


def by_port(one: Keeper, method: str, path: str, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    try:
        connection.request(method, path, json.dumps({}), {"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_four_hundred_idle_connections_silence_nobody(one: Keeper) -> None:
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", one.port), 20))
        assert one.ask("GET", "/v1/processes") == (200, {})
        assert by_port(one, "GET", "/v1/keeper", one.tests_token) == 200


def test_the_port_is_for_tests_alone(one: Keeper) -> None:
    assert by_port(one, "GET", "/v1/processes", one.token) == 403
    assert by_port(one, "POST", "/v1/stop", one.token) == 403
    assert by_port(one, "GET", "/v1/keeper", one.token) == 200


def test_nobody_else_may_connect(one: Keeper) -> None:
    assert (one.folder / private_socket.NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("length", [40, 200])
def test_a_long_path_is_no_matter(tmp_path: Path, length: int) -> None:
    with keeper(tmp_path / ("x" * length)) as one:
        assert one.ask("GET", "/v1/processes") == (200, {})


def test_one_that_was_killed_leaves_its_socket_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        listener = private_socket.listen(str(tmp_path))
        assert listener is not None
        with listener, private_socket.connect(str(tmp_path), 20), listener.accept()[0]:
            pass


def test_a_place_that_has_no_sockets(tmp_path: Path) -> None:
    assert private_socket.listen(str(tmp_path / "none")) is None
