"""The stages of a service: its start, its end where it is a job, its set-up, its seeds."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from envctl.engines import CommandResult, Execution, Progress, ServiceState
from envctl.errors import Evidence, ServiceFailed
from envctl.instance.record import DataRecord
from envctl.lifecycle.events import Phase
from envctl.plan.model import ServicePlan
from tests.builders import FakeDeployment, job, record_of, service, step_of
from tests.lifecycle.line import HEALTH, SERVER, MakeLine, healthy

# Jobs


def finished(status: int) -> ServiceState:
    return ServiceState(False, status)


def test_a_job_is_done_when_it_ends(line: MakeLine) -> None:
    deployment = FakeDeployment(seen={"migrate": ServiceState(False, None)})
    deployment.on_start["migrate"] = lambda: deployment.seen.__setitem__("migrate", finished(0))
    found = line(job("migrate"), service("orders", needs={"migrate": "done"}), deployment=deployment).run()
    assert found.states == {"migrate": "done", "orders": "seeded"}
    assert found.deployment.started == ["migrate", "orders"]


def test_a_job_is_not_run_again(line: MakeLine) -> None:
    found = line(job("migrate"), deployment=FakeDeployment(seen={"migrate": finished(0)})).run()
    assert found.deployment.started == []
    assert found.states == {"migrate": "done"}


def test_a_job_that_failed_before_is_run_again(line: MakeLine) -> None:
    deployment = FakeDeployment(seen={"migrate": finished(1)})
    deployment.on_start["migrate"] = lambda: deployment.seen.__setitem__("migrate", finished(0))
    assert line(job("migrate"), deployment=deployment).run().deployment.started == ["migrate"]


# Images


def test_servers_start_while_the_image_of_another_service_is_built(line: MakeLine) -> None:
    """`app` has its image when `db` is seeded, and not before: whoever waited for images first would wait for ever."""
    seeded = threading.Event()

    class Building(FakeDeployment):
        def prepare_meanwhile(self, progress: Progress) -> None: ...

        def await_image(self, service: ServicePlan) -> None:
            assert service.name != "app" or seeded.wait(20)

        def finish(self, whole: Collection[str]) -> None: ...

        def execute(self, service: str, what: Execution) -> CommandResult:
            seeded.set()
            return super().execute(service, what)

    found = line(service("db", steps=steps(1)), service("app", needs={"db": "seeded"}), deployment=Building()).run()
    assert found.deployment.started == ["db", "app"]


def test_an_image_that_cannot_be_built_ends_everything(line: MakeLine) -> None:
    class Failing(FakeDeployment):
        def prepare_meanwhile(self, progress: Progress) -> None: ...

        def await_image(self, service: ServicePlan) -> None:
            if service.name == "app":
                raise ServiceFailed("app: the image cannot be built", Evidence("app", "build"))

    error = line(service("db", steps=steps(1), **HEALTH), service("app"), deployment=Failing()).fails()
    assert error.message == "app: the image cannot be built"


# Seeds


def steps(count: int) -> tuple[Any, ...]:
    return tuple(step_of("db", number, **SERVER) for number in range(count))


def test_seeds_run_in_order_and_are_recorded(line: MakeLine) -> None:
    found = line(service("db", steps=steps(3))).run()
    assert [words for _, words in found.deployment.executed] == [("seed", "0"), ("seed", "1"), ("seed", "2")]
    assert found.record.data == {"db": DataRecord("first", ("hash 0", "hash 1", "hash 2"))}


def test_recorded_seeds_are_not_run_again(line: MakeLine) -> None:
    record = record_of(data={"db": DataRecord("first", ("hash 0", "hash 1"))})
    found = line(service("db", steps=steps(3)), record=record).run()
    assert [words for _, words in found.deployment.executed] == [("seed", "2")]
    assert found.record.data["db"].steps == ("hash 0", "hash 1", "hash 2")
    assert line(service("db", steps=steps(3)), record=found.record).run().deployment.executed == []


def test_new_data_are_seeded_anew(line: MakeLine) -> None:
    record = record_of(data={"db": DataRecord("first", ("hash 0",), True)})
    found = line(service("db", steps=steps(1)), record=record, deployment=FakeDeployment(data_ids={"db": "second"})).run()
    assert len(found.deployment.executed) == 1
    assert found.record.data == {"db": DataRecord("second", ("hash 0",))}


def test_a_command_in_another_image_is_expected_while_the_server_gets_ready(line: MakeLine) -> None:
    """What has run, and what runs in the server, is not."""
    given = [step_of("db", number, step={"command": "x", "in": where}) for number, where in enumerate(["orders", "orders", "db"])]
    record = record_of(data={"db": DataRecord("first", ("hash 0",))})
    deployment = FakeDeployment(seen={"db": ServiceState(True, health="starting")})
    found = line(service("orders"), service("db", steps=tuple(given), **HEALTH), deployment=deployment, record=record)
    expect = deployment.prepare_command
    deployment.prepare_command = lambda *words: (expect(*words), healthy(deployment, "db")())[0]  # type: ignore[method-assign]
    found.run()
    assert deployment.expected == [("orders", ("seed", "1"))]
    assert deployment.ran_once == [("orders", ("seed", "1"))]


def test_what_cannot_be_expected_is_made_when_its_turn_comes(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.prepare_command = lambda *words: (_ for _ in ()).throw(OSError("busy"))  # type: ignore[method-assign]
    step = step_of("db", step={"command": "x", "in": "orders"})
    assert line(service("orders"), service("db", steps=(step,)), deployment=deployment).run().deployment.ran_once == [
        ("orders", ("seed", "0"))
    ]


def test_a_step_that_fails_is_not_recorded(line: MakeLine) -> None:
    deployment = FakeDeployment(answers={("seed", "1"): CommandResult(2, "no such table")})
    found = line(service("db", steps=steps(3)), service("page", needs={"db": "seeded"}), deployment=deployment)
    error = found.fails()
    assert error.message == "db: seed step 2 failed at environment.yaml:7: no such table"
    assert found.record.data["db"].steps == ("hash 0",)
    assert found.states == {"db": "failed", "page": "pending"}


def test_a_step_waits_for_what_it_needs(line: MakeLine) -> None:
    """`cache` starts after `db` is ready, and the step of `db` waits for it."""
    order: list[str] = []
    deployment = FakeDeployment()
    execute = deployment.execute
    deployment.execute = lambda *words: (order.append("seed"), execute(*words))[1]  # type: ignore[method-assign, func-returns-value]
    deployment.on_start["cache"] = lambda: order.append("cache")
    step = step_of("db", needs={"cache": "ready"}, **SERVER)
    found = line(service("db", steps=(step,)), service("cache", needs={"db": "ready"}), deployment=deployment).run()
    assert order == ["cache", "seed"]
    seeding = [detail for name, phase, detail in found.told if (name, phase) == ("db", Phase.SEEDING)]
    assert seeding == [f"{step.title} waits for cache to be ready", step.title]


def test_a_step_does_not_run_after_a_failure_elsewhere(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.on_start["cache"] = lambda: deployment.exits("cache", 1)
    step = step_of("db", needs={"cache": "ready"}, **SERVER)
    found = line(service("db", steps=(step,)), service("cache", needs={"db": "ready"}, **HEALTH), deployment=deployment)
    found.fails()
    assert deployment.executed == []
    assert found.states["db"] == "ready"


# What a kind sets up


SETUP: Any = ((("make", "topic"), {"A": "b"}, "input"), (("make", "other"), {}, ""))


def test_a_server_is_set_up_once_before_its_seeds(line: MakeLine) -> None:
    found = line(service("db", setup=SETUP, steps=steps(1))).run()
    assert [words for _, words in found.deployment.executed] == [("make", "topic"), ("make", "other"), ("seed", "0")]
    assert found.deployment.fed[:2] == [b"input", b""]
    assert found.deployment.environments[0] == {"A": "b"}
    assert found.record.data["db"] == DataRecord("first", ("hash 0",), True)
    again = line(service("db", setup=SETUP, steps=steps(1)), record=found.record).run()
    assert again.deployment.executed == []


def test_a_set_up_that_fails(line: MakeLine) -> None:
    deployment = FakeDeployment(answers={("make", "topic"): CommandResult(1, "refused\nby the broker")}, logged={"db": "log of the server"})
    found = line(service("db", setup=SETUP), deployment=deployment)
    error = found.fails()
    assert error.message == "db: make ended with 1"
    assert (error.evidence.step, error.evidence.logs) == ("set-up", ("refused", "by the broker"))
    assert found.record.data == {}


# Readers


class Admitting(FakeDeployment):
    """Says in `executed` when others may reach a service."""

    def admit(self, service: ServicePlan) -> None:
        self.executed.append((service.name, ("admit",)))


def test_others_reach_it_once_it_is_seeded(line: MakeLine) -> None:
    db, other = service("db", steps=steps(1), gated=True), service("other", steps=())
    found = line(db, other, deployment=Admitting()).run()
    assert found.deployment.executed == [("db", ("seed", "0")), ("db", ("admit",))]
