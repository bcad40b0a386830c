"""Commands in containers that read no input: mostly health checks, which must not be slowed down by importing the Docker SDK."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from envctl.engines.docker.api import Daemon, Endpoint
from envctl.engines.docker.commands import execute
from envctl.engines.docker.connection import Connection
from envctl.engines.protocol import CommandResult, Execution
from tests.fakedaemon import Answer, running

PRINTED = b"\x01\0\0\0\0\0\0\x04one\n\x02\0\0\0\0\0\0\x04two\n"


def ran(answers: dict[str, Answer]) -> tuple[CommandResult, list[str]]:
    """Run a command in a container; return its result and the requests that the daemon received."""
    with running(lambda method, path, query: answers[path]) as server:
        without_sdk = cast(Connection, SimpleNamespace(daemon=Daemon(Endpoint(server.host))))
        return execute(without_sdk, "c1", Execution(["ask"], env={"A": "b"})), server.asked


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3)])
def test_a_command_that_reads_nothing_needs_no_sdk(code: int, status: int) -> None:
    answers: dict[str, Answer] = {
        "/containers/c1/exec": (201, {"Id": "e1"}),
        "/exec/e1/start": (200, PRINTED),
        "/exec/e1/json": (200, {"ExitCode": code}),
    }
    result, asked = ran(answers)
    assert result == CommandResult(status, "one\ntwo\n")
    assert asked == ["POST /containers/c1/exec", "POST /exec/e1/start", "GET /exec/e1/json"]


def test_a_container_that_does_not_run_starts_none() -> None:
    result, _ = ran({"/containers/c1/exec": (409, {"message": "container c1 is restarting"})})
    assert result == CommandResult(126, "container c1 is restarting")
