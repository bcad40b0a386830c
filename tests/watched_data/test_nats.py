"""Tests of watching the data of NATS: accounts of a real server, before and after changes."""

from __future__ import annotations

from typing import Any

import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig, StreamSource

from envctl.leases.checkpoints import compare
from envctl.units import UnitError, opened
from envctl.watched_data import WHOLE, Contents, contents_of
from envctl.watched_data import nats as watched
from tests.units.test_nats import UNIT, properties, within  # noqa: F401


@pytest.fixture
def server(properties: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """Return the properties of a server with two empty accounts: the main one, and the account of a lane."""
    with opened("nats", properties) as driver:
        driver.drop(UNIT)
        driver.clone(UNIT, "")
    return properties


def look(server: dict[str, Any], unit: str = "") -> Contents:
    found = contents_of("nats", server, unit)
    assert found is not None
    return found


def changed(before: Contents, now: Contents) -> dict[str, tuple[list[str], ...]]:
    """Return the added, changed and removed items of each stream or bucket that has changed."""
    return {
        thing: tuple(sorted(items) for items in change) for thing, change in compare({"bus": before}, {"bus": now}).get("bus", {}).items()
    }


def test_streams_and_messages_that_come_and_go(server: dict[str, Any]) -> None:
    async def seeds(stream: Any) -> None:
        for name in ("orders", "goes", "work"):
            retention = RetentionPolicy.WORK_QUEUE if name == "work" else None
            await stream.add_stream(StreamConfig(name=name, subjects=[f"{name}.*"], retention=retention))
        await stream.add_stream(StreamConfig(name="copies", mirror=StreamSource(name="orders")))
        await stream.add_consumer("work", ConsumerConfig(durable_name="worker"))
        for subject in ("orders.a", "orders.b", "orders.c", "work.a"):
            await stream.publish(subject, b"seeded")

    async def uses(stream: Any) -> None:
        await stream.publish("orders.a", b"seeded")
        await stream.delete_msg("orders", 2)
        for message in await (await stream.pull_subscribe_bind("worker", "work")).fetch(1, timeout=10):
            await message.ack_sync()
        await stream.publish("work.b", b"1")
        await stream.delete_stream("goes")
        await stream.add_stream(StreamConfig(name="comes", subjects=["comes"], max_msgs=7))
        await stream.add_consumer("orders", ConsumerConfig(durable_name="reader"))

    within(server, "seeded", seeds)
    before = look(server)
    assert changed(before, look(server)) == {}
    within(server, "seeded", uses)
    assert changed(before, look(server)) == {
        "streams": (["comes"], [], ["goes"]),
        "consumers": (["orders reader"], [], []),
        "orders": (["#4"], [], ["#2"]),
        "work": (["#2"], [], ["#1"]),
    }


def test_a_stream_that_is_made_anew_holds_other_messages(server: dict[str, Any]) -> None:
    async def makes(stream: Any) -> None:
        await stream.add_stream(name="orders", subjects=["orders"])
        await stream.publish("orders", b"1")

    async def makes_anew(stream: Any) -> None:
        await stream.delete_stream("orders")
        await makes(stream)

    within(server, "seeded", makes)
    before = look(server)
    within(server, "seeded", makes_anew)
    assert changed(before, look(server)) == {"orders": ([], ["#1"], [])}


def test_keys_and_objects_are_told_by_what_they_hold(server: dict[str, Any]) -> None:
    async def seeds(stream: Any) -> None:
        bucket = await stream.create_key_value(bucket="settings", history=3)
        for key in ("same", "other", "deleted", "purged"):
            await bucket.put(key, b"1")
        await stream.create_key_value(bucket="empty")
        await stream.create_object_store("files")
        store = await stream.create_object_store("more-files")
        for name in ("same", "other", "deleted"):
            await store.put(name, b"1" * 200_000)

    async def uses(stream: Any) -> None:
        bucket, store = await stream.key_value("settings"), await stream.object_store("more-files")
        for key, value in (("same", b"1"), ("other", b"2"), ("new.key", b"1")):
            await bucket.put(key, value)
        await bucket.delete("deleted")
        await bucket.purge("purged")
        for name, content in (("same", b"1" * 200_000), ("other", b"2"), ("new", b"")):
            await store.put(name, content)
        await store.delete("deleted")

    within(server, "seeded", seeds)
    before = look(server)
    assert {name: sorted(items) for name, items in before.items() if name.startswith("OBJ_")} == {
        "OBJ_files": [],
        "OBJ_more-files": ["deleted", "other", "same"],
    }
    within(server, "seeded", uses)
    assert changed(before, look(server)) == {
        "KV_settings": (["new.key"], ["other"], ["deleted", "purged"]),
        "OBJ_more-files": (["new"], ["other"], ["deleted"]),
    }


def test_a_lane_is_its_own_account_and_so_is_one_that_is_declared(server: dict[str, Any]) -> None:
    async def makes(stream: Any) -> None:
        await stream.add_stream(name="orders", subjects=["orders"])

    within(server, UNIT, makes)
    assert (list(look(server)["streams"]), list(look(server, UNIT)["streams"])) == ([], ["orders"])
    declared = {**server, "accounts": {"audit": {"username": UNIT, "password": "p"}, "without": {"jetstream": False}}}
    assert {thing: list(items) for thing, items in look(declared).items()} == {
        "streams": [], "consumers": [], "audit.streams": ["orders"], "audit.consumers": [], "audit.orders": [],
    }  # fmt: skip


def test_of_many_messages_only_that_they_have_changed_is_known(server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def publishes(stream: Any) -> None:
        await stream.publish("orders", b"1")

    async def seeds(stream: Any) -> None:
        await stream.add_stream(name="orders", subjects=["orders"])
        for _ in range(4):
            await publishes(stream)

    monkeypatch.setattr(watched, "MOST", 3)
    within(server, "seeded", seeds)
    before = look(server)
    assert changed(before, look(server)) == {}
    within(server, "seeded", publishes)
    assert changed(before, look(server)) == {"orders": ([], [WHOLE], [])}


def test_a_server_without_jetstream_holds_nothing(server: dict[str, Any]) -> None:
    assert look({**server, "jetstream": False}) == {}
    assert look({**server, "username": "core", "password": "p"}) == {"streams": {}, "consumers": {}}, "nobody has said so"


def test_a_server_that_refuses_is_said(server: dict[str, Any]) -> None:
    with pytest.raises(UnitError, match="NATS at 127"):
        look({**server, "password": "wrong"})
