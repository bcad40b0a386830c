"""A machine takes over an instance on which another machine has worked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines import Deployment, Engine, MadeElsewhere, PublishedRecord
from envctl.errors import EnvctlError
from envctl.instance.codec import encode
from envctl.instance.machine import process_mark
from envctl.instance.record import Choices, DataRecord, InstanceState, Record, SnapshotRecord
from envctl.instance.store import RecordGone, UnreadableRecord
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.events import Events
from envctl.lifecycle.machines import StillWorkedOn, alone_among_machines, discard_half_made
from envctl.plan.model import ServicePlan
from tests.builders import FakeDeployment, plan_with, record_of, service, session_in
from tests.lifecycle.line import Line, Told

SET_UP: dict[str, Any] = {"setup": ((("make",), {}, ""),), "gated": True}
THEIRS = "other@machine.boot.1:7:100"


@dataclass
class Gated(FakeDeployment):
    """A deployment that shows which machine makes the data of a service; None in `makers` means that the data is complete."""

    makers: dict[str, str | None] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    admitted: list[str] = field(default_factory=list)

    def made_by(self, service: ServicePlan) -> str | None:
        return self.makers.get(service.name, "")

    def note_begun(self, service: ServicePlan) -> None:
        self.begun.append(service.name)

    def admit(self, service: ServicePlan) -> None:
        self.admitted.append(service.name)


@dataclass
class Shared:
    """An engine that other machines use at the same time."""

    published: PublishedRecord | None = None
    waits: int = 0
    loses: bool = False
    live: dict[str, str] = field(default_factory=dict)
    workers: tuple[tuple[str, bool], ...] = ()
    inside: bool = False

    @contextmanager
    def alone(
        self, id: str, worker: str, pause: Callable[[], None], lost: Callable[[EnvctlError], None], new: bool
    ) -> Iterator[PublishedRecord | None]:  # fmt: skip
        for _ in range(self.waits):
            pause()
        if self.loses:
            lost(EnvctlError("another machine works on it"))
        self.workers, self.inside = (*self.workers, (worker, new)), True
        yield self.published
        self.inside = False


def run_of(folder: Path, state: InstanceState = InstanceState.UP, **changes: Any) -> tuple[Run, Told]:
    session, told = session_in(folder), Told()
    given: dict[str, Any] = {"engine": "kubernetes", "context": "c", "state": state, **changes}
    record = session.store.create(record_of(**given))
    return Run(session, record, plan_with(service("db", **SET_UP), service("web")), Events([told]), math.inf), told


def published(data: dict[str, DataRecord], **changes: Any) -> PublishedRecord:
    snapshots = {name: SnapshotRecord("key", "ref", "content", ("s",)) for name in data}
    theirs = replace(record_of(engine="kubernetes", **changes), data=data, snapshots=snapshots)
    return PublishedRecord(encode(theirs))


def taken(run: Run, shared: Shared, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setattr(Run, "deployment", lambda self, engine, plan: FakeDeployment(data_ids=shared.live))
    with alone_among_machines(run, cast(Engine, shared)):
        assert shared.inside
    return run.record


OLD, NEW = DataRecord("old", ("s",)), DataRecord("new", ("s", "t"))


@pytest.mark.parametrize(
    ("ours", "theirs", "live", "expected"),
    [
        (OLD, NEW, "new", NEW),
        (NEW, OLD, "new", NEW),
        (None, NEW, "new", NEW),
        (OLD, NEW, "newer", OLD),
        (None, OLD, "newer", None),
        (DataRecord("new", ("s",)), NEW, "new", DataRecord("new", ("s",))),
    ],
)
def test_of_data_that_is_there_what_is_known_here_counts_and_then_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: DataRecord | None, theirs: DataRecord, live: str, expected: DataRecord | None
) -> None:
    run, _ = run_of(tmp_path, data={"db": ours} if ours else {})
    found = taken(run, Shared(published({"db": theirs}), live={"db": live}), monkeypatch)
    assert found.data.get("db") == expected
    assert ("db" in found.snapshots) is (expected is theirs), "the snapshot that it began as comes with it"


def test_data_of_a_process_of_this_machine_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = run_of(tmp_path, data={"db": OLD}, choices=Choices(local=("db",)))
    assert taken(run, Shared(published({"db": NEW}), live={"db": "new"}), monkeypatch).data == {"db": OLD}


def test_another_instance_under_the_same_id_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = run_of(tmp_path, data={"db": OLD})
    with pytest.raises(MadeElsewhere, match="created again by another machine"):
        taken(run, Shared(published({"db": NEW}, secret="11"), live={"db": "new"}), monkeypatch)
    assert run.record.data == {"db": OLD}


@pytest.mark.parametrize(("state", "new"), [(InstanceState.STARTING, True), (InstanceState.UP, False), (InstanceState.CHANGING, False)])
def test_what_was_there_before_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: InstanceState, new: bool) -> None:
    shared = Shared()
    taken(run_of(tmp_path, state)[0], shared, monkeypatch)
    assert [each for _, each in shared.workers] == [new]


def test_a_state_of_its_own_is_a_worker_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Shared(), Shared()
    taken(run_of(tmp_path / "one")[0], one, monkeypatch)
    taken(run_of(tmp_path / "two")[0], two, monkeypatch)
    assert len({shared.workers[0][0].partition("@")[0] for shared in (one, two)}) == 2


def test_waiting_is_said_once_and_ends_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.lifecycle.machines.POLL", 0.0)
    run, told = run_of(tmp_path)
    taken(run, Shared(waits=3), monkeypatch)
    assert [event.detail for event in told.events] == ["t: waiting for a command of another machine that is working on it"]
    run.deadline = time.monotonic()
    with pytest.raises(StillWorkedOn, match="another machine is still working on t"):
        taken(run, Shared(waits=1), monkeypatch)


def test_who_has_lost_it_writes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = run_of(tmp_path)
    taken(run, Shared(loses=True), monkeypatch)
    with pytest.raises(RecordGone, match="another machine works on it"):
        run.update(lambda record: replace(record, error="x"))
    found = run.session.store.load(run.record.id)
    assert found is not None
    assert found.error == ""


def test_a_record_of_a_later_version_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = PublishedRecord({**published({}).document, "version": 999})
    with pytest.raises(UnreadableRecord):
        taken(run_of(tmp_path)[0], Shared(later), monkeypatch)


@pytest.mark.parametrize(
    ("by", "state", "expected"),
    [
        (THEIRS, InstanceState.UP, ["db"]),
        (THEIRS, InstanceState.STARTING, []),
        ("", InstanceState.UP, []),
        (None, InstanceState.UP, []),
    ],
)
def test_data_that_another_machine_left_half_made_is_made_anew(
    tmp_path: Path, by: str | None, state: InstanceState, expected: list[str]
) -> None:
    run, told = run_of(tmp_path, state, data={"db": OLD})
    deployment = Gated(data_ids={"db": "newer"}, makers={"db": by})
    discard_half_made(run, cast(Deployment, deployment), run.plan.services.values())
    assert deployment.discarded == expected
    assert [event.detail.partition(": ")[0] for event in told.events] == expected
    assert ("db" in run.record.data) is not bool(expected)


def test_what_we_have_begun_ourselves_is_gone_on_with(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path)
    deployment = Gated(data_ids={"db": "newer"}, makers={"db": run.worker})
    discard_half_made(run, cast(Deployment, deployment), run.plan.services.values())
    assert deployment.discarded == []


def line_of(folder: Path, by: str | None, state: InstanceState = InstanceState.UP, **data: DataRecord) -> tuple[Line, Gated]:
    deployment = Gated(data_ids={"db": "new"}, makers={"db": by})
    return Line(folder, service("db", **SET_UP), deployment=deployment, record=record_of(state=state, data=data)), deployment


@pytest.mark.parametrize("by", ["", "ours"])
def test_others_see_who_makes_it(tmp_path: Path, by: str) -> None:
    line, deployment = line_of(tmp_path, by)
    deployment.makers["db"] = line.started.worker if by else ""
    line.run()
    assert (deployment.begun, deployment.executed, deployment.admitted) == (["db"], [("db", ("make",))], ["db"])


def test_a_first_up_tells_nobody(tmp_path: Path) -> None:
    line, deployment = line_of(tmp_path, "", InstanceState.STARTING)
    line.run()
    assert (deployment.begun, deployment.executed) == ([], [("db", ("make",))])


def test_what_another_machine_has_made_is_not_made_again(tmp_path: Path) -> None:
    line, deployment = line_of(tmp_path, None)
    line.run()
    assert (deployment.begun, deployment.executed) == ([], [])
    assert line.record.data["db"].set_up


def test_a_server_that_keeps_nothing_is_seeded_again_though_its_pod_was_seeded(tmp_path: Path) -> None:
    deployment = Gated(data_ids={"db": "new"}, makers={"db": None})
    db = service("db", **SET_UP, ephemeral=True)
    Line(tmp_path, db, deployment=deployment, record=record_of(state=InstanceState.UP)).run()
    assert (deployment.begun, deployment.executed) == ([], [("db", ("make",))])


def test_what_is_known_of_it_is_gone_on_with(tmp_path: Path) -> None:
    line, deployment = line_of(tmp_path, None, db=DataRecord("new"))
    line.run()
    assert (deployment.begun, deployment.executed) == ([], [("db", ("make",))]), "its gate is open, and stays so"


def test_what_another_machine_has_begun_is_left_alone(tmp_path: Path) -> None:
    line, deployment = line_of(tmp_path, f"other@{process_mark()}")
    with pytest.raises(EnvctlError, match="db: a command of another machine has begun to make its data") as caught:
        line.run()
    assert "`envctl reset t-123456 db`" in str(caught.value.hint)
    assert (deployment.begun, deployment.executed) == ([], [])
