"""Instances that start with snapshots, on a fake deployment; `tests/snapshots/test_live.py` uses real engines."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from envctl.engines import Saved
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.files.folders import FileRefused
from envctl.instance.folder import snapshots_folder
from envctl.instance.record import DataRecord, Location, SnapshotRecord
from envctl.lifecycle import snapshot_building, snapshot_commands, snapshots
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.data import recorded, refuse_changed_seeds
from envctl.lifecycle.events import Event, Events
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.snapshots import NOTHING, begin_as_kept
from envctl.plan.model import Plan, ServicePlan
from envctl.session import Session
from envctl.snapshots.index import Entry, Index
from envctl.snapshots.keys import key_of
from envctl.snapshots.settings import max_size
from tests.builders import FakeDeployment, plan_of, record_of, session_in

TEXT = """
services:
  db: {kind: postgres, seed: [{sql: a.sql}]}
  other: {kind: postgres}
  api: {kind: api, image: "api:1", port: 80}
"""
PLACE = Location("docker", "here")


@dataclass
class Keeping(FakeDeployment):
    """A deployment that supports snapshots."""

    began: Mapping[str, SnapshotRecord] = field(default_factory=dict)

    def place(self, service: ServicePlan) -> Location:
        return PLACE

    def identity(self, service: ServicePlan) -> str:
        return service.image

    def holds(self, service: ServicePlan) -> bool:
        return True

    def data_id(self, service: ServicePlan) -> str:
        return self.data_ids.get(service.name, "")

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        self.began = dict(snapshots)

    def save(self, service: ServicePlan, key: str) -> Saved:
        raise NotImplementedError


@dataclass
class Carried(Keeping):
    """A deployment to which snapshots must be copied first."""

    unable: str = ""
    refused: str = ""
    before: Callable[[], None] = lambda: None

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: object) -> SnapshotRecord:
        self.before()
        if self.refused:
            raise EnvctlError(self.refused)
        return replace(kept, ref=f"registry/{kept.ref}")


class Told:
    """A listener that records the service and the detail of each event."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def begin(self, plan: Plan) -> None: ...

    def event(self, event: Event) -> None:
        self.said.append((event.service, event.detail))

    def end(self) -> None: ...


@dataclass
class Store:
    """A store of snapshots; the snapshots in *busy* are in use and cannot be removed."""

    there: dict[str, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    keeps_at: str = "here"

    def has(self, ref: str, content: str) -> bool:
        return self.there.get(ref) == content

    def remove_kept(self, ref: str) -> bool:
        return ref not in self.busy and self.there.pop(ref, "") is not None

    def kept(self) -> list[tuple[str, str]]:
        return [(ref, ref) for ref in self.there]

    def write_kept(self, ref: str, file: Path) -> None:
        file.write_text(self.there[ref])

    def read_kept(self, ref: str, file: Path) -> str:
        self.there[ref] = file.read_text()
        return self.there[ref]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, TEXT, {"a.sql": "select 1;"})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    found = session_in(tmp_path)
    environ = {key: value for key, value in found.environ.items() if key != NOTHING}
    return Session({**environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}, found.cwd)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    for module in (snapshots, snapshot_commands):
        monkeypatch.setattr(module, "open_engine", lambda location, host: found)
    monkeypatch.setattr(snapshot_commands, "open_engines", lambda places, host: dict.fromkeys(places, found))
    monkeypatch.setattr(snapshot_commands, "known_locations", lambda session: [PLACE])
    return found


def run_of(session: Session, plan: Plan) -> Run:
    return Run(session, session.store.create(record_of()), plan, Events([]), 0.0)


def keep(session: Session, store: Store, plan: Plan, name: str, size: int = 10) -> Entry:
    assert plan.of_nobody is not None
    key = key_of(plan.of_nobody(), name, lambda service: service.image)
    steps = tuple(step.hash for step in plan.services[name].steps)
    entry = Entry(key, *PLACE[:2], key, f"content of {key}", size, f"t/{name}", "postgres", "postgres:17", "now", steps)  # type: ignore[arg-type]
    store.there[key] = entry.content
    Index(snapshots_folder(session.environ)).add(entry)
    return entry


def begin(run: Run, deployment: Keeping, *, allowed: bool = True) -> None:
    begin_as_kept(run, deployment, run.plan.services.values(), allowed=allowed)


def test_a_new_server_begins_as_what_is_kept_for_it(session: Session, store: Store, plan: Plan) -> None:
    entry, run, deployment = keep(session, store, plan, "db"), run_of(session, plan), Keeping(data_ids={"api": "x"})

    begin(run, deployment)

    assert list(deployment.began) == ["db"]
    assert deployment.began["db"].content == entry.content
    assert run.record.snapshots == deployment.began
    assert run.lacking == ["other"]


@pytest.mark.parametrize(("allowed", "asked"), [(True, ["db", "other"]), (False, ["db"])])
def test_only_of_what_is_or_could_be_kept_an_engine_is_asked(session: Session, plan: Plan, allowed: bool, asked: list[str]) -> None:
    of: list[str] = []

    class Asked(Keeping):
        def data_id(self, service: ServicePlan) -> str:
            of.append(service.name)
            return "1"

    run = run_of(session, plan)
    run.update(lambda record: replace(record, snapshots={"db": SnapshotRecord("old", "old", "old")}))
    begin(run, Asked(), allowed=allowed)
    assert of == asked


def test_data_that_is_there_stays_what_it_began_as(session: Session, store: Store, plan: Plan) -> None:
    began = SnapshotRecord("old", "old", "old")
    keep(session, store, plan, "db")
    run, deployment = run_of(session, plan), Keeping(data_ids={"db": "1", "other": "2"})
    run.update(lambda record: replace(record, snapshots={"db": began}))

    begin(run, deployment)

    assert deployment.began == {"db": began}
    assert list(run.lacking) == []


def test_data_that_is_gone_begins_as_what_is_kept_now(session: Session, store: Store, plan: Plan) -> None:
    entry, run, deployment = keep(session, store, plan, "db"), run_of(session, plan), Keeping()
    run.update(lambda record: replace(record, snapshots={"db": SnapshotRecord("old", "old", "old")}))

    begin(run, deployment)

    assert run.record.snapshots["db"].key == entry.key


@pytest.mark.parametrize("why", ["option", "variable", "stranger"])
def test_who_wants_none_gets_none(session: Session, store: Store, plan: Plan, why: str) -> None:
    keep(session, store, plan, "db")
    session = Session({**session.environ, NOTHING: "1"}, session.cwd) if why == "variable" else session
    run, deployment = run_of(session, plan), Keeping()
    if why == "stranger":
        run.update(lambda record: replace(record, choices=replace(record.choices, untrusted=True)))

    begin(run, deployment, allowed=why != "option")

    assert deployment.began == {}
    assert list(run.lacking) == []


def test_what_another_engine_keeps_is_brought_first(session: Session, store: Store, plan: Plan) -> None:
    entry, run, deployment = keep(session, store, plan, "db"), run_of(session, plan), Carried()

    begin(run, deployment)

    assert deployment.began["db"].ref == run.record.snapshots["db"].ref == f"registry/{entry.ref}"
    assert run.lacking == ["other"]


def test_a_copy_counts_when_it_is_whole(session: Session, store: Store, plan: Plan) -> None:
    """If `up` is killed during the copy, the record must name no snapshot, not even one that it named before."""
    keep(session, store, plan, "db")
    run, seen = run_of(session, plan), []
    run.update(lambda record: replace(record, snapshots={"db": SnapshotRecord("old", "old", "old", folder="/data")}))

    begin(run, Carried(before=lambda: seen.append(dict(run.record.snapshots))))

    assert seen == [{}]
    assert list(run.record.snapshots) == ["db"]


def test_what_cannot_be_brought_is_seeded_again_and_said(session: Session, store: Store, plan: Plan) -> None:
    keep(session, store, plan, "db")
    told, run, deployment = Told(), run_of(session, plan), Carried(refused="the registry is full")
    run.events = Events([told])

    begin(run, deployment)

    assert told.said == [("db", "its data is seeded again: the registry is full")]
    assert (deployment.began, run.lacking) == ({}, ["other"])


def test_where_nothing_can_be_brought_that_is_said_once(session: Session, store: Store, plan: Plan) -> None:
    keep(session, store, plan, "db")
    began, told, run = SnapshotRecord("old", "old", "old"), Told(), run_of(session, plan)
    run.events = Events([told])
    run.update(lambda record: replace(record, snapshots={"other": began}))
    deployment = Carried(data_ids={"other": "1"}, unable="there is no registry")

    begin(run, deployment)

    assert told.said == [("", f"{run.record.engine} makes no snapshot, so data is seeded each time: there is no registry")]
    assert deployment.began == {"other": began}, "what began as one is still filled from it"
    assert list(run.lacking) == []


def test_another_one_under_its_name_is_not_taken(session: Session, store: Store, plan: Plan) -> None:
    """Every user of the daemon can give any name to any image; only an image's id identifies it."""
    entry, run, deployment = keep(session, store, plan, "db"), run_of(session, plan), Keeping()
    store.there[entry.ref] = "of somebody else"

    begin(run, deployment)

    assert deployment.began == {}


def test_what_was_left_half_way_is_not_taken_and_swept(session: Session, store: Store, plan: Plan) -> None:
    entry = keep(session, store, plan, "db")
    Index(snapshots_folder(session.environ)).forget(entry)
    run, deployment = run_of(session, plan), Keeping()

    begin(run, deployment)
    assert deployment.began == {}
    with Index(snapshots_folder(session.environ)).building(entry.key):
        assert snapshot_commands.sweep(session) == []
    assert snapshot_commands.sweep(session) == [entry.ref]


def test_new_data_holds_what_it_began_as_and_changed_seeds_are_seen(plan: Plan) -> None:
    service = plan.services["db"]
    steps = tuple(step.hash for step in service.steps)
    record = record_of(snapshots={"db": SnapshotRecord("k", "k", "c", steps)})

    assert recorded(record, "db", "1") == DataRecord("1", steps, set_up=True)
    assert recorded(record, "db", "") == DataRecord("")
    changed = replace(service, steps=tuple(replace(step, hash="other") for step in service.steps))
    with pytest.raises(UsageError, match="has changed since its data was seeded"):
        refuse_changed_seeds(record, "t", FakeDeployment(data_ids={"db": "1"}), [changed])


def sized(session: Session, limit: str) -> Session:
    return Session({**session.environ, "ENVCTL_SNAPSHOTS_MAX_SIZE": limit}, session.cwd)


def test_what_was_not_used_for_the_longest_time_makes_room(session: Session, store: Store, plan: Plan) -> None:
    old, new = keep(session, store, plan, "db", 600), keep(session, store, plan, "other", 600)
    index = Index(snapshots_folder(session.environ))
    index.used(new)

    assert snapshot_commands.evict(sized(session, "2K")) == []
    assert [each.key for each in snapshot_commands.evict(sized(session, "1K"))] == [old.key]
    assert [each.entry.key for each in snapshot_commands.listed(session)] == [new.key]


def test_what_is_in_use_stays(session: Session, store: Store, plan: Plan) -> None:
    entry = keep(session, store, plan, "db")
    store.busy = {entry.ref}

    assert snapshot_commands.prune(session) == []
    assert snapshot_commands.evict(sized(session, "0")) == []
    assert [each.entry for each in snapshot_commands.listed(session)] == [entry]
    store.busy = set()
    assert snapshot_commands.prune(session) == [entry]
    assert store.there == {}


def test_what_somebody_has_removed_is_forgotten(session: Session, store: Store, plan: Plan) -> None:
    keep(session, store, plan, "db")
    store.there.clear()

    assert snapshot_commands.listed(session) == []
    assert Index(snapshots_folder(session.environ)).all() == []


@pytest.mark.parametrize("limit", ["much", "-1G", "5X", ""])
def test_a_size_that_is_none_is_said(session: Session, limit: str) -> None:
    if not limit:
        assert max_size(sized(session, limit)) == 10 << 30
        return
    with pytest.raises(UsageError, match="not a size"):
        max_size(sized(session, limit))


def test_the_size_stands_in_the_settings(session: Session) -> None:
    (session.cwd / "envctl.toml").write_text('[snapshots]\nmax_size = "1M"\n')

    assert max_size(Session(session.environ, session.cwd)) == 1 << 20


def test_what_was_exported_is_imported_elsewhere(session: Session, store: Store, plan: Plan, tmp_path: Path) -> None:
    entry = keep(session, store, plan, "db")
    assert [each.key for each in snapshot_commands.export(session, tmp_path / "out")] == [entry.key]
    snapshot_commands.prune(session)

    assert snapshot_commands.import_(session, tmp_path / "out") == [entry]
    assert snapshot_commands.import_(session, tmp_path / "out") == []
    assert [each.entry for each in snapshot_commands.listed(session)] == [entry]


@pytest.mark.parametrize("damage", ["file", "no file", "a pipe", "manifest", "a deep manifest", "no manifest", "another"])
def test_what_is_damaged_is_not_imported(session: Session, store: Store, plan: Plan, tmp_path: Path, damage: str) -> None:
    entry, out = keep(session, store, plan, "db"), tmp_path / "out"
    snapshot_commands.export(session, out)
    snapshot_commands.prune(session)
    assert sorted(path.name for path in out.iterdir()) == [f"{entry.key}.docker.tar", snapshot_commands.MANIFEST]
    file, manifest = out / f"{entry.key}.docker.tar", out / snapshot_commands.MANIFEST
    if damage == "file":
        file.write_text("other")
    elif damage == "no file":
        file.unlink()
    elif damage == "a pipe":
        file.unlink()
        os.mkfifo(file)
    elif damage == "a deep manifest":
        manifest.write_text("[" * 100_000)
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-10])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text(manifest.read_text().replace(entry.content, "content of another"))

    with pytest.raises(Exception, match=r"not what it was|damaged|no exported|something else|not a regular file"):
        snapshot_commands.import_(session, out)

    assert snapshot_commands.listed(session) == []
    assert store.there == {}


def test_of_several_nothing_is_imported_where_one_is_damaged(session: Session, store: Store, plan: Plan, tmp_path: Path) -> None:
    keep(session, store, plan, "db")
    last = keep(session, store, plan, "other")
    snapshot_commands.export(session, tmp_path / "out")
    snapshot_commands.prune(session)
    (tmp_path / "out" / f"{last.key}.docker.tar").write_text("other")

    with pytest.raises(EnvctlError, match="nothing was imported"):
        snapshot_commands.import_(session, tmp_path / "out")

    assert store.there == {}


def test_the_last_used_is_the_last_used_elsewhere(session: Session, store: Store, plan: Plan, tmp_path: Path) -> None:
    keep(session, store, plan, "db")
    Index(snapshots_folder(session.environ)).used(keep(session, store, plan, "other"))
    before = [each.entry.key for each in snapshot_commands.listed(session)]
    snapshot_commands.export(session, tmp_path / "out")
    snapshot_commands.prune(session)

    assert [entry.key for entry in snapshot_commands.import_(session, tmp_path / "out")] == before[::-1]


def test_export_writes_through_no_link(session: Session, store: Store, plan: Plan, tmp_path: Path) -> None:
    entry, out, outside = keep(session, store, plan, "db"), session.cwd / "out", tmp_path / "outside"
    outside.write_text("mine")
    out.mkdir()
    (out / f"{entry.key}.docker.tar").symlink_to(outside)
    snapshot_commands.export(session, out)
    assert outside.read_text() == "mine"

    (out / snapshot_commands.MANIFEST).unlink()
    (out / snapshot_commands.MANIFEST).symlink_to(outside)
    with pytest.raises(FileRefused, match="symbolic link"):
        snapshot_commands.export(session, out)
    (out / snapshot_commands.MANIFEST).unlink()
    (out / snapshot_commands.MANIFEST).write_text("of a tool's own")
    with pytest.raises(FileRefused, match="not written by envctl"):
        snapshot_commands.export(session, out)


def test_a_place_that_does_not_answer_is_named_and_keeps_what_it_has(
    session: Session, store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = keep(session, store, plan, "db")
    monkeypatch.setattr(snapshot_commands, "open_engines", lambda places, host: dict.fromkeys(places, EngineMissing("no word from it")))
    told: list[str] = []
    assert snapshot_commands.prune(session, told.append) == []
    assert [each.entry for each in snapshot_commands.listed(session, told.append)] == [entry]
    assert told == ["no word from it; envctl cannot tell which snapshots are kept there"] * 2


def test_servers_that_are_alike_do_not_wait_for_each_other(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def lacking(session: Session, options: UpOptions, names: list[str]) -> dict[str, str]:
        asked.append(list(names))
        return {} if len(asked) > 1 else {"a": "k1", "b": "k1", "c": "k0"}

    monkeypatch.setattr(snapshot_building, "_lacking", lacking)
    assert snapshot_building.build(session, UpOptions("env")) == []
    assert [sorted(names) for names in asked] == [[], ["b", "c"]]


@pytest.mark.parametrize(("ci", "contained", "begun"), [("1", True, 0), ("", True, 1), ("1", False, 1)])
def test_nothing_is_made_in_the_background_of_a_container_that_a_job_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, contained: bool, begun: int
) -> None:
    started: list[list[str]] = []

    def spawned(words: list[str], **given: object) -> SimpleNamespace:
        started.append(words)
        return SimpleNamespace(stdin=io.BytesIO())

    monkeypatch.setattr(snapshots, "spawn_detached", spawned)
    monkeypatch.setattr(snapshots, "in_container", lambda: contained)
    session = session_in(tmp_path, CI=ci)
    run = Run(session, record_of(), plan_of(tmp_path, TEXT, {"a.sql": ""}), Events([]), 0.0)
    run.worth_keeping.add("db")
    snapshots.build_later(session, UpOptions("t"), run)
    assert len(started) == begun
