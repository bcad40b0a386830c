"""A machine takes over an instance that another one has worked on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines import Engine, Handover, Left, PublishedRecord
from envctl.errors import EnvctlError, OutOfTime
from envctl.instance.codec import encode
from envctl.instance.record import DataRecord, InstanceState, Record, SnapshotRecord
from envctl.instance.store import UnreadableRecord
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.events import Events
from envctl.lifecycle.machines import alone_among_machines, discard_half_made
from tests.builders import FakeDeployment, plan_with, record_of, service, session_in
from tests.lifecycle.line import Told

OURS = {"db": DataRecord("old", ("s",)), "local": DataRecord("here", ("l",))}
THEIRS = {"db": DataRecord("new", ("s", "t"))}
SET_UP: dict[str, Any] = {"setup": ((("make",), {}, ""),)}


@dataclass
class Shared:
    """An engine on which others work, too: *busy* is called while they do."""

    handover: Handover
    waits: int = 0
    workers: tuple[tuple[str, bool], ...] = ()
    inside: bool = False

    @contextmanager
    def alone(self, id: str, worker: str, pause: Callable[[], None], new: bool) -> Iterator[Handover]:
        for _ in range(self.waits):
            pause()
        self.workers, self.inside = (*self.workers, (worker, new)), True
        yield self.handover
        self.inside = False


def run_of(folder: Path, state: InstanceState = InstanceState.UP, deadline: float = math.inf) -> tuple[Run, Told]:
    session, told = session_in(folder), Told()
    record = session.store.create(record_of(engine="kubernetes", context="c", data=OURS, state=state))
    return Run(session, record, plan_with(service("db", **SET_UP)), Events([told]), deadline), told


def published(**changes: Any) -> Handover:
    snapshots = {"db": SnapshotRecord("key", "ref", "content", ("s",))}
    theirs = replace(record_of(engine="kubernetes"), data=THEIRS, snapshots=snapshots)
    return Handover(PublishedRecord({**encode(theirs), **changes}), Left.FAILED)


def taken(run: Run, shared: Shared) -> Record:
    with alone_among_machines(run, cast(Engine, shared)):
        assert shared.inside
    return run.record


def test_what_another_machine_knows_of_the_data_counts(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path)
    found = taken(run, Shared(published()))
    assert found.data == {**OURS, **THEIRS}
    assert found.snapshots.keys() == {"db"}
    assert found.secret == "00"
    assert run.left is Left.FAILED


def test_where_this_one_was_the_last_nothing_changes(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path)
    assert taken(run, Shared(Handover())).data == OURS
    assert run.left is Left.DONE


@pytest.mark.parametrize(("state", "new"), [(InstanceState.STARTING, True), (InstanceState.UP, False), (InstanceState.CHANGING, False)])
def test_what_was_there_before_is_taken_over(tmp_path: Path, state: InstanceState, new: bool) -> None:
    shared = Shared(Handover())
    taken(run_of(tmp_path, state)[0], shared)
    assert [each for _, each in shared.workers] == [new]


def test_a_state_of_its_own_is_a_worker_of_its_own(tmp_path: Path) -> None:
    one, two = Shared(Handover()), Shared(Handover())
    taken(run_of(tmp_path / "one")[0], one)
    taken(run_of(tmp_path / "two")[0], two)
    assert len({shared.workers[0][0].partition("@")[0] for shared in (one, two)}) == 2


def test_waiting_is_said_once_and_ends_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.lifecycle.machines.POLL", 0.0)
    run, told = run_of(tmp_path)
    taken(run, Shared(Handover(), waits=3))
    assert [event.detail for event in told.events] == ["t: waits for a command of another machine that works on it"]
    run.deadline = time.monotonic()
    with pytest.raises(OutOfTime, match="another machine still works on t"):
        taken(run, Shared(Handover(), waits=1))


def test_a_record_of_a_later_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecord):
        taken(run_of(tmp_path)[0], Shared(published(version=999)))


@pytest.mark.parametrize(
    ("left", "data_id", "retry", "expected"),
    [
        (Left.DIED, "newer", False, ["db"]),
        (Left.FAILED, "newer", True, ["db"]),
        (Left.DONE, "newer", True, []),
        (Left.DIED, "old", True, []),
        (Left.DIED, "", True, []),
    ],
)
def test_data_that_nobody_has_finished_is_made_anew(tmp_path: Path, left: Left, data_id: str, retry: bool, expected: list[str]) -> None:
    run, told = run_of(tmp_path)
    run.left, deployment = left, FakeDeployment(data_ids={"db": data_id})
    discard_half_made(run, deployment, run.plan.services.values(), retry)
    assert deployment.discarded == expected
    assert [event.detail.partition(": ")[0] for event in told.events] == expected
    assert ("db" in run.record.data) is not bool(expected)


def test_what_failed_elsewhere_is_not_made_anew_again_and_again(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path)
    run.left, deployment = Left.FAILED, FakeDeployment(data_ids={"db": "newer"})
    with pytest.raises(EnvctlError, match="failed while its data was made") as caught:
        discard_half_made(run, deployment, run.plan.services.values(), retry=False)
    assert "`envctl reset t-123456 db`" in str(caught.value.hint)
    assert deployment.discarded == []
