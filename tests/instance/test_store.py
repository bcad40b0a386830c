"""Tests of the records on disk: concurrent writers, and damaged or unknown records, which must not be taken for missing ones."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import UsageError
from envctl.instance.allocation import Allocation
from envctl.instance.codec import encode
from envctl.instance.lock import lock
from envctl.instance.record import Choices, DataRecord, Endpoint, InstanceState, LaneRecord, Record, ServiceRecord
from envctl.instance.store import RECORD, RecordGone, RecordStore, UnreadableRecord
from tests.builders import record_of


def written(store: RecordStore, id: str, text: str) -> Path:
    path = store.folder(id) / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def changed(record: Record, **changes: Any) -> str:
    return json.dumps(encode(record) | changes)


def test_a_record_comes_back(store: RecordStore) -> None:
    record = record_of(outputs={"A": "ü\n"}, stop={"x": 10.0}, data={"db": DataRecord("1", ("h",))}, expires="2030-01-01T00:00:00Z")
    assert store.create(record) == record
    assert store.load(record.id) == record
    assert store.all() == [record]


def test_a_record_is_its_owners_alone(store: RecordStore) -> None:
    store.create(record_of())
    folder = store.folder("t-123456")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / RECORD).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [RECORD]


def test_a_record_is_replaced_at_once(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write leaves the previous record."""
    record = store.create(record_of(state=InstanceState.UP))
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        store.update(record, lambda record: replace(record, state=InstanceState.FAILED))
    assert store.load(record.id) == record


def test_removed_records_are_gone(store: RecordStore, home: Path) -> None:
    record = store.create(record_of())
    with lock(store.folder(record.id)):
        store.remove(record.id)
        store.remove(record.id)
        assert store.load(record.id) is None
    assert list(home.iterdir()) == []


def test_without_a_folder_there_are_no_records(store: RecordStore) -> None:
    assert store.all() == []
    assert store.load("t-123456") is None


# Updates


def test_an_update_works_on_what_is_on_disk(store: RecordStore) -> None:
    """The update does not use the outdated record that the caller passes."""
    old = store.create(record_of())
    store.update(old, lambda record: replace(record, error="first"))
    found = store.update(old, lambda record: replace(record, expires="2030"))
    assert (found.error, found.expires) == ("first", "2030")
    assert store.load(old.id) == found


def test_an_update_that_changes_nothing_writes_nothing(store: RecordStore) -> None:
    record = store.create(record_of())
    before = (store.folder(record.id) / RECORD).stat().st_ino
    assert store.update(record, lambda record: replace(record)) == record
    assert (store.folder(record.id) / RECORD).stat().st_ino == before


def test_updates_of_many_threads_are_all_there(store: RecordStore) -> None:
    record = store.create(record_of())

    def note(number: int) -> None:
        store.update(record, lambda record: replace(record, timings_ms={**record.timings_ms, str(number): number}))

    threads = [threading.Thread(target=note, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.load(record.id)
    assert found is not None
    assert set(found.timings_ms.values()) == set(range(20))


def test_nothing_is_saved_after_it_was_removed(store: RecordStore, home: Path) -> None:
    record = store.create(record_of())
    store.remove(record.id)
    with pytest.raises(RecordGone, match=r"t \(t-123456\) has been removed in the meantime"):
        store.update(record, lambda record: replace(record, error="late"))
    assert list(store.folder(record.id).iterdir()) == []


def test_nothing_is_saved_about_a_new_instance_of_the_same_id(store: RecordStore) -> None:
    record = store.create(record_of())
    store.remove(record.id)
    new = store.create(replace(record, secret="11"))
    with pytest.raises(RecordGone):
        store.update(record, lambda record: replace(record, error="late"))
    assert store.load(record.id) == new


FULL = record_of(
    services={"db": ServiceRecord("postgres", endpoints={"main": Endpoint("127.0.0.1", 20000)}, shell=("psql",), user=1)},
    data={"db": DataRecord("1", ("h",))},
    lanes=(LaneRecord(0, {"URL": "x"}),),
    choices=Choices(port={"db": 20000}, only=("db",)),
    allocation=Allocation({("db", "main"): 20000}, "10.231.0.0/27"),
    outputs={"A": "b"}, stop={"db": 10.0}, expires="2030-01-01T00:00:00Z", secrets=("s",),
)  # fmt: skip
"""A record in which every field is set."""


Place = tuple[str | int, ...]


def at(told: Any, place: Place) -> Any:
    for key in place:
        told = told[key]
    return told


LEVELS: list[Place] = [
    (), ("services", "db"), ("services", "db", "endpoints", "main"), ("data", "db"), ("lanes", 0), ("choices",), ("allocation",),
]  # fmt: skip
"""The places where a later release may add a key."""


@pytest.mark.parametrize("place", LEVELS, ids=str)
def test_keys_of_a_later_release_survive_an_update(store: RecordStore, place: Place) -> None:
    told = encode(FULL)
    at(told, place)["later"] = [1, {"a": None}]
    path = written(store, FULL.id, json.dumps(told))
    found = store.load(FULL.id)
    assert found is not None
    store.update(found, lambda record: replace(record, error="changed"))
    assert json.loads(path.read_text("utf-8")) == told | {"error": "changed"}


# Unreadable records

BROKEN = [
    "",
    "{",
    "[]",
    "{}",
    "null",
    '{"unknown": 1}',
    "\x00",
    '{"version": 1}',
    '{"version": "1"}',
    '{"version": null}',
    '{"version": 0}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_damaged_record_is_said_so(store: RecordStore, content: str) -> None:
    path = written(store, "broken-123456", content)
    with pytest.raises(UnreadableRecord) as caught:
        store.load("broken-123456")
    assert caught.value.message.startswith(f"the record {path} cannot be read: ")
    assert caught.value.hint == "`envctl down broken-123456` removes what carries its label, and the record with it"
    assert (caught.value.id, caught.value.exit_code) == ("broken-123456", 1)


@pytest.mark.parametrize(
    "change", [{"state": "asleep"}, {"services": []}, {"services": {"db": {}}}, {"secret": 1}, {"expires": 1.5}, {"allocation": {}}]
)
def test_a_key_of_another_type_is_named(store: RecordStore, change: dict[str, Any]) -> None:
    written(store, "t-123456", changed(record_of(), **change))
    with pytest.raises(UnreadableRecord, match=f"cannot be read: {next(iter(change))}"):
        store.load("t-123456")


def keys_in(told: Any, place: Place = ()) -> Iterator[Place]:
    """Return the place of every key and item, at every depth."""
    for key in told if isinstance(told, dict) else range(len(told)) if isinstance(told, list) else ():
        yield (*place, key)
        yield from keys_in(told[key], (*place, key))


def damages(place: Place) -> Iterator[Any]:
    """Return damaged records: without the value at *place*, and with other values there."""
    dropped = encode(FULL)
    del at(dropped, place[:-1])[place[-1]]
    yield dropped
    others: list[Any] = [[], ["x"], {}, 7, -1.5, "x", "", None, True]
    for value in others:
        replaced = encode(FULL)
        at(replaced, place[:-1])[place[-1]] = value
        yield replaced


@pytest.mark.parametrize("place", list(keys_in(encode(FULL))), ids=str)
def test_whatever_is_damaged_it_is_loaded_or_said_so(store: RecordStore, place: Place) -> None:
    """A record is loaded or gives UnreadableRecord; any other exception would break the commands of all other instances."""
    for told in damages(place):
        written(store, FULL.id, json.dumps(told))
        with suppress(UnreadableRecord):
            found = store.load(FULL.id)
            assert found is not None
            assert (found.id, found.allocation.gateway) in ((FULL.id, "10.231.0.1"), (FULL.id, ""))


def test_what_is_nested_too_deeply_is_said_so(store: RecordStore) -> None:
    written(store, "t-123456", "[" * 200_000)
    with pytest.raises(UnreadableRecord):
        store.load("t-123456")


def test_a_record_of_another_instance_is_damaged(store: RecordStore) -> None:
    """`down` would remove the other instance."""
    written(store, "t-123456", changed(record_of(), id="other-123456"))
    with pytest.raises(UnreadableRecord, match="cannot be read: id: expected 't-123456', not 'other-123456'"):
        store.load("t-123456")


def test_a_record_without_a_version_is_said_so(store: RecordStore) -> None:
    """Releases before format 1 wrote records without a version."""
    told = encode(record_of())
    del told["version"]
    written(store, "t-123456", json.dumps(told))
    with pytest.raises(UnreadableRecord, match="cannot be read: it has no version"):
        store.load("t-123456")


def test_a_record_of_a_later_version_is_said_so(store: RecordStore) -> None:
    """The rest of such a record may have any form."""
    for text in (changed(record_of(), version=2), '{"version": 2}', changed(record_of(), version=99, services=[])):
        written(store, "t-123456", text)
        with pytest.raises(UnreadableRecord, match=r"was written by a later version of envctl \(format \d+; this one knows 1\)") as caught:
            store.load("t-123456")
        assert "use that version of envctl" in caught.value.hint


def test_what_is_no_text_cannot_be_read(store: RecordStore) -> None:
    written(store, "t-123456", "").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableRecord):
        store.load("t-123456")


def test_what_may_not_be_opened_cannot_be_read(store: RecordStore, unprivileged: None) -> None:
    written(store, "t-123456", changed(record_of())).chmod(0)
    with pytest.raises(UnreadableRecord, match="Permission denied"):
        store.load("t-123456")


def test_a_home_that_is_another_users_is_no_damaged_record(store: RecordStore, home: Path, unprivileged: None) -> None:
    written(store, "t-123456", changed(record_of()))
    home.chmod(0)
    with pytest.raises(UsageError, match="no state can be kept in"):
        store.load("t-123456")
    home.chmod(0o700)


@pytest.mark.parametrize("content", [*BROKEN, changed(record_of(), version=2)])
def test_one_that_cannot_be_read_disturbs_no_other(store: RecordStore, content: str) -> None:
    written(store, "broken-123456", content)
    record = store.create(record_of())
    assert store.all() == [record]
    assert [error.id for error in store.unreadable()] == ["broken-123456"]


@pytest.mark.parametrize("content", [*BROKEN, changed(record_of(), version=2)])
def test_one_that_cannot_be_read_is_not_written_over(store: RecordStore, content: str) -> None:
    record = store.create(record_of())
    path = written(store, record.id, content)
    with pytest.raises(UnreadableRecord):
        store.update(record, lambda record: replace(record, error="x"))
    assert path.read_text("utf-8") == content


def test_a_folder_of_a_removed_instance_is_none(store: RecordStore, home: Path) -> None:
    (home / "gone-123456").mkdir(parents=True)
    (home / "gone-123456" / "keeper.log").write_text("")
    assert store.load("gone-123456") is None
    assert store.all() == []
    assert store.unreadable() == []
    shutil.rmtree(home)
