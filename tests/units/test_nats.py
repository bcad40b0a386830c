"""Tests of NATS accounts on a real server: what is copied from one account to another, and what a reset keeps."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig, StreamSource
from nats.js.errors import NotFoundError

from envctl.units import TemplateGone, UnitError, opened
from tests.processes import until

PROGRAM = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
CONFIG = """
listen: "127.0.0.1:-1"
ports_file_dir: "FOLDER"
jetstream {store_dir: "FOLDER/data"}
accounts {
  seeded {jetstream: enabled, users: [{user: seeded, password: p}]}
  lane1 {jetstream: enabled, users: [{user: lane1, password: p}]}
  core {users: [{user: core, password: p}]}
}
"""
UNIT = "lane1"
MANY = 450


@pytest.fixture(scope="module")
def properties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    if PROGRAM is None:
        pytest.skip("no nats-server here")
    folder = tmp_path_factory.mktemp("nats")
    (folder / "nats.conf").write_text(CONFIG.replace("FOLDER", str(folder)))
    with subprocess.Popen([PROGRAM, "--config", str(folder / "nats.conf")], stderr=subprocess.DEVNULL) as process:
        try:
            assert until(lambda: list(folder.glob("*.ports")))
            port = int(next(folder.glob("*.ports")).read_text().split('"nats"')[1].split(":")[3].split('"')[0])
            login = {"username": UNIT, "password": "p", "accounts": {"without": {"jetstream": False}}}
            yield {"host": "127.0.0.1", "port": port, "username": "seeded", "password": "p", "units": {UNIT: login}}
        finally:
            process.terminate()


def within(properties: dict[str, Any], user: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Call *work* with JetStream of *user*'s account and return its result."""

    async def connected() -> Any:
        client = await nats.connect(f"nats://{properties['host']}:{properties['port']}", user=user, password="p", allow_reconnect=False)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(connected())


async def seeds(stream: Any) -> None:
    await stream.add_stream(StreamConfig(name="orders", subjects=["orders.*"]))
    await stream.add_stream(StreamConfig(name="copies", mirror=StreamSource(name="orders")))
    await stream.add_stream(StreamConfig(name="work", subjects=["work"], retention=RetentionPolicy.WORK_QUEUE, deny_purge=True))
    await stream.add_consumer("work", ConsumerConfig(durable_name="worker", filter_subject="work"))
    for number in range(MANY):
        await stream.publish(f"orders.{number % 2}", str(number).encode(), headers={"Nats-Expected-Last-Sequence": str(number)})
    await stream.publish("work", b"\x00\xff", headers={"who": "me: too"})
    bucket = await stream.create_key_value(bucket="settings", history=5)
    for value in (b"1", b"2"):
        await bucket.put("a", value)
    await bucket.put("gone", b"x")
    await bucket.purge("gone")


async def seen(stream: Any) -> dict[str, Any]:
    """Return the messages of each stream."""
    found: dict[str, Any] = {}
    for info in await stream.streams_info():
        name = info.config.name
        found[name] = []
        for number in range(info.state.first_seq, info.state.last_seq + 1) if info.state.messages else ():
            with suppress(NotFoundError):
                told = await stream.get_msg(name, number)
                found[name].append((told.subject, told.data, (told.headers or {}).get("who")))
    return found


def test_an_account_is_copied_and_reset(properties: dict[str, Any]) -> None:
    async def uses(stream: Any) -> None:
        await stream.add_stream(StreamConfig(name="since", subjects=["since"]))
        await stream.publish("since", b"1")
        await stream.publish("orders.3", b"of a test")
        for message in await (await stream.pull_subscribe_bind("worker", "work")).fetch(1, timeout=10):
            await message.ack_sync()

    async def value(stream: Any) -> bytes:
        return bytes((await (await stream.key_value("settings")).get("a")).value)

    async def mirrored(stream: Any) -> int:
        return int((await stream.stream_info("copies")).state.messages)

    within(properties, "seeded", seeds)
    assert until(lambda: within(properties, "seeded", mirrored) == MANY)
    seeded = within(properties, "seeded", seen)
    assert len(seeded["orders"]) == MANY
    with opened("nats", properties) as driver:
        driver.keep("", "")
        driver.clone("", UNIT)
        assert until(lambda: within(properties, UNIT, mirrored) == MANY)
        assert within(properties, UNIT, seen) == seeded
        assert within(properties, UNIT, value) == b"2"
        within(properties, UNIT, uses)
        driver.reset("", UNIT)
        assert until(lambda: within(properties, UNIT, mirrored) == MANY)
        assert within(properties, UNIT, seen) == {**seeded, "since": []}, "services may hold on to a stream that they have made"
        driver.clone("", UNIT)
        assert "since" not in within(properties, UNIT, seen)
        driver.drop(UNIT)
        assert within(properties, UNIT, seen) == {}
        driver.reset("", "")
        assert not any(within(properties, "seeded", seen).values())


def test_what_is_not_there_is_said(properties: dict[str, Any]) -> None:
    with opened("nats", properties) as driver, pytest.raises(TemplateGone, match="no account 'lane2'"):
        driver.clone("", "lane2")
    wrong = {**properties, "units": {UNIT: {"username": UNIT, "password": "x"}}}
    with opened("nats", wrong) as driver, pytest.raises(UnitError, match="NATS at 127"):
        driver.clone("", UNIT)
