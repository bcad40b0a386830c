"""Which instance `up` works on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import MadeElsewhere, PublishedRecord
from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.instance.allocation import Allocation
from envctl.instance.identity import instance_id
from envctl.instance.machine import process_mark
from envctl.instance.record import Choices, DataRecord, InstanceState, Record, now
from envctl.instance.store import RECORD, RecordGone, UnreadableRecord
from envctl.lifecycle import claiming
from envctl.lifecycle.claiming import claim, draft, instance_name
from envctl.lifecycle.options import UpOptions
from envctl.session import Session
from tests.builders import ended_mark, environment_of
from tests.lifecycle.listed import FUTURE, PAST, ListedEngine, seen_as

DATA = {"db": DataRecord("1", ("h",))}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return environment_of(tmp_path, "services: {db: {kind: valkey}}")


@pytest.fixture
def engine() -> ListedEngine:
    return ListedEngine()


def options(**changes: Any) -> UpOptions:
    return UpOptions("t", engine="local", **changes)


def up(session: Session, engine: ListedEngine, environment: Environment, /, owner: str = "", **changes: Any) -> Record:
    """Return the record that `up` claims."""
    return claim(session, engine, draft(session, options(**changes), environment, owner), options(**changes))


def was(session: Session, engine: ListedEngine, environment: Environment, /, **changes: Any) -> Record:
    """Create an instance that is up, and return its record."""
    record = up(session, engine, environment)
    return session.store.update(
        record, lambda record: replace(record, **{"state": InstanceState.UP, "process": "", "data": DATA, **changes})
    )


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 41, "ü", "a/b"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid name"):
        instance_name(name)


def test_a_draft_writes_nothing(session: Session, environment: Environment) -> None:
    drafted = draft(session, options(), environment, "")
    assert (drafted.id, drafted.name, drafted.location.engine) == (instance_id("t", session.cwd), "t", "local")
    assert (drafted.project, drafted.file) == (str(session.cwd), str(session.cwd / "environment.yaml"))
    assert not session.store.home.exists()


def test_a_new_one(session: Session, engine: ListedEngine, environment: Environment) -> None:
    record = up(session, engine, environment, owner="me", ttl=60.0)
    assert (record.state, record.process, record.owner) == (InstanceState.STARTING, process_mark(), "me")
    assert record.expires is not None
    assert now() < record.expires <= now(61)
    assert session.store.load(record.id) == record
    assert len(record.secret) == 64
    assert engine.removed == [(record.id, {})], "of one that was here before something may be left"


def test_one_that_is_up_goes_on(session: Session, engine: ListedEngine, environment: Environment) -> None:
    """The instance keeps its data, its ports, its passwords and its owner."""
    before = was(session, engine, environment, error="failed before")
    engine.removed.clear()
    record = up(session, engine, environment, owner="me")
    assert (record.secret, record.data, record.created, record.owner) == (before.secret, DATA, before.created, "")
    assert (record.state, record.error) == (InstanceState.CHANGING, "")
    assert engine.removed == []


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, {"fresh": True}),
        ({"expires": PAST}, {}),
        ({"owner": ended_mark()}, {}),
        ({"state": InstanceState.STARTING}, {}),
        ({"state": InstanceState.REMOVING}, {}),
    ],
    ids=["fresh", "expired", "its owner has ended", "half there", "half gone"],
)
def test_one_that_does_not_go_on_is_removed_first(
    session: Session, engine: ListedEngine, environment: Environment, changes: dict[str, Any], asked: dict[str, Any]
) -> None:
    before = was(session, engine, environment, stop={"db": 3.0}, **changes)
    engine.removed.clear()
    record = up(session, engine, environment, **asked)
    assert engine.removed == [(record.id, {"db": 3.0})]
    assert (record.state, record.data) == (InstanceState.STARTING, {})
    assert record.secret != before.secret


def test_a_registry_that_was_chosen_stays(session: Session, engine: ListedEngine, environment: Environment) -> None:
    was(session, engine, environment, choices=Choices(registry="r"))
    assert up(session, engine, environment).choices.registry == "r"
    assert up(session, engine, environment, registry="s").choices.registry == "s"


def test_local_services_are_no_choice_where_all_are(session: Session, environment: Environment) -> None:
    assert draft(session, options(local=["db"]), environment, "").choices.local == ()
    beside = replace(options(local=["db"]), engine="docker")
    assert draft(session, beside, environment, "").choices.local == ("db",)


# Refusals


def refused(session: Session, engine: ListedEngine, environment: Environment, message: str, **asked: Any) -> None:
    """Check that `up` is refused with *message*, and that no record and no instance changes."""
    engine.removed.clear()
    before = session.store.all()
    with pytest.raises(UsageError, match=message) as caught:
        up(session, engine, environment, **asked)
    assert (caught.value.exit_code, session.store.all(), engine.removed) == (2, before, [])


def test_one_that_a_run_uses(session: Session, engine: ListedEngine, environment: Environment) -> None:
    was(session, engine, environment, owner=process_mark())
    refused(session, engine, environment, "another `envctl run` or `test` is using t")


def test_one_that_a_run_of_another_container_uses_or_used(session: Session, engine: ListedEngine, environment: Environment) -> None:
    was(session, engine, environment, owner="elsewhere:1:1")
    refused(session, engine, environment, "a command of another machine or container is using t, or was")


@pytest.mark.parametrize(
    ("owner", "expires"), [("elsewhere:1:1", None), ("elsewhere:1:1", FUTURE), (process_mark(), None)], ids=["elsewhere", "in time", "here"]
)
def test_one_that_another_machine_holds(session: Session, environment: Environment, owner: str, expires: str | None) -> None:
    id = instance_id("t", session.cwd)
    engine = ListedEngine([seen_as(id, owner=owner, expires=expires), seen_as("other-1", owner="elsewhere:1:1")])
    refused(session, engine, environment, rf"t \({id}\) is in use by a command of another machine, container or user")


@pytest.mark.parametrize(
    ("owner", "expires"), [("", None), (ended_mark(), None), ("elsewhere:1:1", PAST)], ids=["none", "ended", "expired"]
)
def test_what_nobody_holds_is_cleared(session: Session, environment: Environment, owner: str, expires: str | None) -> None:
    id = instance_id("t", session.cwd)
    engine = ListedEngine([seen_as(id, owner=owner, expires=expires)])
    assert up(session, engine, environment).id == id
    assert engine.removed == [(id, {})]


class PublishedElsewhere(ListedEngine):
    """A cluster on which another machine's instance gets its record after `looks` looks."""

    looks = 0
    secret = "theirs"

    def published(self, name: str, project: str) -> PublishedRecord | None:
        self.looks -= 1
        return PublishedRecord({"id": name, "secret": self.secret}) if self.looks < 0 else None

    def connect(self, id: str, access: Any) -> dict[int, int]:
        return {}


@pytest.fixture
def shared(session: Session, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> PublishedElsewhere:
    """Return a cluster on which another machine has an instance with the same key."""
    monkeypatch.setattr(claiming, "POLL", 0.0)
    monkeypatch.setattr(claiming, "SAID", 0.05)
    return PublishedElsewhere([seen_as(draft(session, options(key="k"), environment, "").id)])


@pytest.mark.parametrize("looks", [0, 2])
def test_what_another_machine_has_made_under_our_key_is_not_removed(
    session: Session, environment: Environment, shared: PublishedElsewhere, looks: int
) -> None:
    shared.looks = looks
    with pytest.raises(MadeElsewhere):
        up(session, shared, environment, key="k")
    assert shared.removed == []
    up(session, shared, environment, key="k", fresh=True)
    assert len(shared.removed) == 1


@pytest.mark.parametrize("changes", [{"owner": "machine.boot.1:7:100", "expires": PAST}, {"owner": ended_mark()}, {"expires": PAST}])
def test_what_nobody_uses_any_more_is_removed_under_a_key_too(
    session: Session, environment: Environment, shared: PublishedElsewhere, changes: dict[str, Any]
) -> None:
    shared.seen = [shared.seen[0]._replace(**changes)]
    up(session, shared, environment, owner="me", key="k")
    assert len(shared.removed) == 1


def test_what_never_got_a_record_is_removed(session: Session, environment: Environment, shared: PublishedElsewhere) -> None:
    shared.looks = 10**9
    up(session, shared, environment, key="k")
    assert len(shared.removed) == 1


def test_who_was_second_looks_again_without_a_key(session: Session, environment: Environment, shared: PublishedElsewhere) -> None:
    drafted = draft(session, options(), environment, "")
    shared.seen = [seen_as(drafted.id)]
    with pytest.raises(MadeElsewhere):
        claim(session, shared, drafted, options(), elsewhere=True)
    assert shared.removed == []


@pytest.mark.parametrize(
    ("secret", "changes", "expires", "removed"),
    [
        ("theirs", {"state": InstanceState.STARTING}, None, 0),
        ("", {"state": InstanceState.STARTING}, None, 1),
        ("", {"expires": PAST}, FUTURE, 0),
        ("", {"expires": PAST}, PAST, 1),
    ],
)
def test_what_went_on_elsewhere_is_not_removed(
    session: Session,
    environment: Environment,
    shared: PublishedElsewhere,
    secret: str,
    changes: dict[str, Any],
    expires: str | None,
    removed: int,
) -> None:
    record = was(session, ListedEngine(), environment, **changes)
    shared.seen, shared.secret = [seen_as(record.id, expires=expires)], secret or record.secret
    if removed:
        up(session, shared, environment)
    else:
        with pytest.raises(MadeElsewhere):
            up(session, shared, environment)
    assert len(shared.removed) == removed


def test_a_key_makes_another_instance(session: Session, engine: ListedEngine, environment: Environment) -> None:
    ours, theirs = up(session, engine, environment), up(session, engine, environment, key="o/r#1")
    assert (theirs.id, theirs.key) == (instance_id("t", session.cwd, "o/r#1"), "o/r#1")
    assert ours.id != theirs.id


def test_one_that_is_elsewhere(session: Session, engine: ListedEngine, environment: Environment) -> None:
    was(session, engine, environment, engine="docker", context="lab")
    refused(session, engine, environment, "t is up on docker at lab")


def test_names_that_share_an_id(session: Session, engine: ListedEngine, environment: Environment) -> None:
    was(session, engine, environment)
    refused(session, engine, environment, "'T' and 't' would share the id", name="T")


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("state", [InstanceState.UP, InstanceState.FAILED, InstanceState.CHANGING])
def test_another_environments_instance(
    session: Session, engine: ListedEngine, environment: Environment, state: InstanceState, fresh: bool
) -> None:
    was(session, engine, environment, environment="other", file="/p/other.yaml", state=state)
    refused(session, engine, environment, r"t is an instance of the environment 'other' \(/p/other.yaml\), not of 't'", fresh=fresh)


def test_an_environment_that_was_renamed_is_no_other_one(session: Session, engine: ListedEngine, environment: Environment) -> None:
    before = was(session, engine, environment, environment="other")
    record = up(session, engine, environment)
    assert (record.secret, record.environment) == (before.secret, "t")


def test_another_file_of_the_same_name(session: Session, engine: ListedEngine, environment: Environment, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("name: t\nservices: {}\n")
    was(session, engine, environment, file=str(other))
    refused(session, engine, environment, "t is an instance of the environment 't'")


def test_a_file_that_was_moved_is_no_other_one(session: Session, engine: ListedEngine, environment: Environment, tmp_path: Path) -> None:
    before = was(session, engine, environment, file=str(tmp_path / "gone.yaml"))
    assert up(session, engine, environment).secret == before.secret


@pytest.mark.parametrize("changes", [{"state": InstanceState.STARTING}, {"state": InstanceState.REMOVING}, {"expires": PAST}])
def test_what_nobody_can_use_any_more_keeps_nobody_away(
    session: Session, engine: ListedEngine, environment: Environment, changes: dict[str, Any]
) -> None:
    was(session, engine, environment, environment="other", file="/p/other.yaml", **changes)
    assert up(session, engine, environment).environment == "t"


@pytest.mark.parametrize("content", ['{"version": 99}', "{", "{}"])
@pytest.mark.parametrize("engine_said", [True, False])
def test_one_whose_record_cannot_be_read(
    session: Session, engine: ListedEngine, environment: Environment, content: str, engine_said: bool
) -> None:
    path = session.store.folder(instance_id("t", session.cwd)) / RECORD
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UnreadableRecord):
        draft(session, options() if engine_said else UpOptions("t"), environment, "")
    with pytest.raises(UnreadableRecord):
        claim(session, engine, replace(was(session, engine, environment, id="x-123456"), id=path.parent.name), options())
    assert path.read_text() == content


# Another command was faster


def test_one_that_came_up_meanwhile_is_not_removed(session: Session, engine: ListedEngine, environment: Environment) -> None:
    """If two `up` run at once, the second continues with the instance that the first made."""
    drafted = draft(session, options(), environment, "")
    there = was(session, engine, environment)
    engine.removed.clear()
    with pytest.raises(RecordGone):
        claim(session, engine, drafted, options())
    assert (session.store.all(), engine.removed) == ([there], [])


def test_one_that_came_up_while_it_was_drafted_is_not_removed(session: Session, engine: ListedEngine, environment: Environment) -> None:
    record = was(session, engine, environment, state=InstanceState.STARTING, process=process_mark())
    drafted = draft(session, options(), environment, "")
    session.store.update(record, lambda record: replace(record, state=InstanceState.UP))
    engine.removed.clear()
    with pytest.raises(RecordGone):
        claim(session, engine, drafted, options())
    assert engine.removed == []


def test_one_that_went_meanwhile_is_drafted_anew(session: Session, engine: ListedEngine, environment: Environment) -> None:
    """The passwords, ports and data of the removed instance no longer exist."""
    record = was(session, engine, environment)
    drafted = draft(session, options(), environment, "")
    session.store.remove(record.id)
    with pytest.raises(RecordGone):
        claim(session, engine, drafted, options())
    assert session.store.all() == []


def test_what_was_noted_meanwhile_stays(session: Session, engine: ListedEngine, environment: Environment) -> None:
    record = was(session, engine, environment)
    drafted = draft(session, options(ttl=60.0), environment, "")
    later, unknown = {"db": DataRecord("2", ("h", "i"))}, {"lease": 1}
    session.store.update(record, lambda record: replace(record, data=later, allocation=Allocation({("db", "main"): 7}), unknown=unknown))
    found = claim(session, engine, drafted, options(ttl=60.0))
    assert (found.data, found.allocation.ports, found.unknown) == (later, {("db", "main"): 7}, unknown)
    assert found.expires == drafted.expires


def test_what_is_left_half_way_elsewhere_is_removed_there(
    session: Session, engine: ListedEngine, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    was(session, engine, environment, engine="docker", state=InstanceState.STARTING)
    there = ListedEngine()
    monkeypatch.setattr(claiming, "open_engine", lambda location, host: there)
    engine.removed.clear()
    record = up(session, engine, environment)
    assert ([id for id, _ in there.removed], engine.removed) == ([record.id], [])
