"""Changed set-up of a server with data: a change is applied if set-up can run again, and refused if only a first start can apply it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import BadRequestError

from envctl.errors import UsageError
from envctl.instance.record import DataRecord, Record
from envctl.lifecycle.data import Data, refuse_changed_seeds
from envctl.lifecycle.declared import first_of, made_of
from envctl.plan.model import ServicePlan
from envctl.seeding.declaring import nats_streams
from tests.builders import FakeDeployment, plan_of, record_of

POSTGRES = "kind: postgres, with: {databases: [app, more], users: {reader: {rights: read}}}"
S3 = "kind: s3, with: {buckets: {invoices: {versioning: true}}}"
NATS = "kind: nats, with: {streams: {orders: {max_age: 10m}}}"


def planned(folder: Path, text: str) -> ServicePlan:
    return plan_of(folder, f"services: {{db: {{{text}}}}}").services["db"]


class Known:
    """A record in memory, and the Data that updates it."""

    def __init__(self, data: DataRecord) -> None:
        self.record = record_of(data={"db": data})
        self.data = Data(self._update, lambda: self.record, FakeDeployment(data_ids={"db": "1"}))

    def _update(self, change: Callable[[Record], Record]) -> None:
        self.record = change(self.record)


@pytest.mark.parametrize("change", [("[app, more]", "[app, more, third]"), ("reader:", "writer:"), ("rights: read", "rights: write")])
def test_what_only_a_first_start_makes_is_refused_where_data_is_there(tmp_path: Path, change: tuple[str, str]) -> None:
    """`up` once reported the new database as present although it did not exist."""
    before, after = planned(tmp_path, POSTGRES), planned(tmp_path, POSTGRES.replace(*change))
    known = Known(DataRecord("1"))
    known.data.note_first(before)
    refuse_changed_seeds(known.record, "it", FakeDeployment(data_ids={"db": "1"}), [before])
    with pytest.raises(UsageError, match=r"db: what its first start makes \(databases, users, .* has changed since its data was made"):
        refuse_changed_seeds(known.record, "it", FakeDeployment(data_ids={"db": "1"}), [after])
    refuse_changed_seeds(known.record, "it", FakeDeployment(data_ids={"db": "2"}), [after])


def test_the_first_script_of_all_is_a_change(tmp_path: Path) -> None:
    """A server with one database has no script for its first start."""
    assert first_of(planned(tmp_path, "kind: postgres")) != first_of(planned(tmp_path, "kind: postgres, with: {extensions: [pg_trgm]}"))


def test_what_an_older_version_has_made_is_taken_for_that_of_now(tmp_path: Path) -> None:
    refuse_changed_seeds(record_of(data={"db": DataRecord("1")}), "it", FakeDeployment(data_ids={"db": "1"}), [planned(tmp_path, POSTGRES)])


def test_a_compose_file_says_what_becomes_of_its_scripts(tmp_path: Path) -> None:
    assert first_of(replace(planned(tmp_path, POSTGRES), from_compose=True)) == ""


@pytest.mark.parametrize(
    ("text", "change"),
    [(S3, ("}}}", "}, more: {}}}")), (S3, ("true", "false")), (NATS, ("10m", "20m")), (NATS, ("orders:", "events:"))],
)
def test_a_set_up_that_has_changed_is_done_again(tmp_path: Path, text: str, change: tuple[str, str]) -> None:
    before, after = planned(tmp_path, text), planned(tmp_path, text.replace(*change))
    known = Known(DataRecord("1"))
    known.data.note_set_up(before)
    assert known.data.is_set_up(before)
    assert not known.data.is_set_up(after)
    assert not known.data.is_whole(after)


@pytest.mark.parametrize("text", [S3, NATS])
def test_another_instance_of_the_same_says_nothing_else(tmp_path: Path, text: str) -> None:
    assert made_of(planned(tmp_path, text)) == made_of(planned(tmp_path, text))


class Stream:
    """A fake JetStream in which the stream already exists."""

    def __init__(self, code: int) -> None:
        self.code, self.updated = code, list[Any]()

    async def add_stream(self, **config: Any) -> None:
        raise BadRequestError(code=400, err_code=self.code, description="no")

    async def update_stream(self, **config: Any) -> None:
        self.updated.append(config)


def test_a_stream_becomes_as_it_is_declared() -> None:
    stream = Stream(nats_streams.OTHERWISE)
    asyncio.run(nats_streams._made(stream, {"name": "orders"}))
    assert stream.updated == [{"name": "orders"}]


def test_what_a_stream_cannot_be_is_said() -> None:
    stream = Stream(10025)
    with pytest.raises(BadRequestError):
        asyncio.run(nats_streams._made(stream, {"name": "orders"}))
    assert stream.updated == []
