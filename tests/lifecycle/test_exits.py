"""Services that exit while others come up: which of them may, and how the others are reported."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envctl.engines import ServiceState
from envctl.errors import EnvctlError
from envctl.lifecycle.events import Phase
from envctl.plan.model import Limits
from tests.builders import FakeDeployment, job, service
from tests.lifecycle.line import HEALTH, MakeLine


def test_a_job_that_fails(line: MakeLine) -> None:
    deployment = FakeDeployment(seen={"migrate": ServiceState(False, None)}, logged={"migrate": "one\ntwo"})
    deployment.on_start["migrate"] = lambda: deployment.exits("migrate", 3)
    found = line(job("migrate"), service("orders", needs={"migrate": "done"}), deployment=deployment)
    error = found.fails()
    assert error.message == "migrate ended with 3"
    assert (error.evidence.service, error.evidence.step, error.evidence.exit_status) == ("migrate", "run", 3)
    assert error.evidence.logs == ("one", "two")
    assert found.states == {"migrate": "failed", "orders": "pending"}
    assert deployment.started == ["migrate"]


def test_a_service_of_a_compose_file_that_ends_well_is_done(line: MakeLine) -> None:
    """A Compose file does not say which of its services are jobs."""
    deployment = FakeDeployment(seen={"setup": ServiceState(False)})
    deployment.on_start["setup"] = lambda: deployment.exits("setup", 0)
    found = line(service("setup", from_compose=True, **HEALTH), deployment=deployment).run()
    assert found.states == {"setup": "done"}


def test_a_process_of_this_machine_has_no_image(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.on_start["db"] = lambda: deployment.exits("db", 127)
    made = line(service("db", **HEALTH), deployment=deployment)
    made.started.plan = replace(made.started.plan, setting=replace(made.started.plan.setting, local=frozenset(["db"])))
    error = made.fails()
    assert error.message == "db ended with 127 (a program was not found on this machine)"
    assert error.evidence.advice == "check `run:`; programs are searched for in the PATH of this shell"


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (1, "db ended with 1", ""),
        (137, "db ended with 137 (killed: out of memory, or by another program)", "give it more memory in `resources:`"),
        (
            127,
            "db ended with 127 (its program was not found in the image)",
            "check `run:` and `command:`, and that the image has the program",
        ),
        (0, "db ended with 0", ""),
    ],
)
def test_a_service_that_dies_while_it_starts(line: MakeLine, status: int, words: str, advice: str) -> None:
    deployment = FakeDeployment(logged={"db": "\n".join(f"line {number}" for number in range(50))})
    deployment.on_start["db"] = lambda: deployment.exits("db", status)
    error = line(service("db", resources=Limits(memory=1 << 20), **HEALTH), deployment=deployment).fails()
    assert error.message == words
    assert error.exit_code == 1
    assert (error.evidence.step, error.evidence.exit_status, error.evidence.advice) == ("start", status, advice)
    assert error.evidence.logs == tuple(f"line {number}" for number in range(10, 50))
    assert "its health check says nothing yet" in error.evidence.history[0]


def test_a_service_without_a_check_that_dies_at_once(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.on_start["worker"] = lambda: deployment.exits("worker", 2)
    assert line(service("worker"), deployment=deployment).fails().message == "worker ended with 2"


def test_a_service_that_dies_later_fails_the_rest(line: MakeLine) -> None:
    deployment = FakeDeployment(seen={"page": ServiceState(True, health="starting")})
    deployment.on_start["page"] = lambda: deployment.exits("db", 1)
    found = line(service("db"), service("page", needs={"db": "seeded"}, **HEALTH), deployment=deployment)
    error = found.fails()
    assert error.message == "db ended with 1"
    assert error.evidence.step == "seeded"


@pytest.mark.parametrize("name", ["stranger", "page"])
def test_a_death_that_matters_to_nobody(line: MakeLine, name: str) -> None:
    """The container is not part of the plan, or the engine restarts it."""
    deployment = FakeDeployment()

    def ends() -> None:
        deployment.exits(name, 1, restarts=True)
        deployment.seen["page"] = ServiceState(True, health="healthy")

    deployment.on_start["page"] = ends
    assert line(service("page", **HEALTH), deployment=deployment).run().states == {"page": "seeded"}


def test_a_start_that_fails(line: MakeLine) -> None:
    def fails() -> None:
        raise EnvctlError("no such program\nmore")

    found = line(service("db"), service("page", needs={"db": "ready"}), deployment=FakeDeployment(on_start={"db": fails}))
    with pytest.raises(EnvctlError, match="no such program"):
        found.run()
    assert found.states == {"db": "failed", "page": "pending"}
    assert found.told[-1] == ("db", Phase.FAILED, "no such program")


def test_lost_evidence_does_not_hide_a_failure(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.logs = lambda *words: (_ for _ in ()).throw(OSError("gone"))  # type: ignore[method-assign]
    deployment.on_start["db"] = lambda: deployment.exits("db", 1)
    assert line(service("db"), deployment=deployment).fails().evidence.logs == ()
