"""NATS: the streams and durable consumers of an account, the messages of streams, and the entries of key-value and object stores.

A message never changes, so its number identifies it. Streams that copy from other streams are not examined: their content arrives late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nats.js.errors import NotFoundError

from envctl.units.nats import Account, Login, Missing, NatsDriver, open_driver
from envctl.watched_data import MOST, WHOLE, fingerprint

PATIENCE = 60.0
"""The timeout in seconds for everything that is read from one account."""
Things = dict[str, dict[str, str]]


def contents(properties: Mapping[str, Any], unit: str) -> Things:
    """Return the streams, consumers and their contents. Raise UnitError if the server does not answer."""
    driver = open_driver(properties)
    found: Things = {}
    for name, login in driver.logins(unit).items():
        found |= {f"{name}.{thing}" if name else thing: items for thing, items in driver.run(_things(driver, login)).items()}
    return found


async def _things(driver: NatsDriver, login: Login) -> Things:
    async with driver.account(login) as account, asyncio.timeout(PATIENCE):
        streams = await account.streams()
        found: Things = {"streams": {name: fingerprint(stream["config"]) for name, stream in streams.items()}, "consumers": {}}
        for name, durable in (await account.consumers(streams)).items():
            found["consumers"] |= {f"{name} {each['durable_name']}": fingerprint(each) for each in durable}
        for name, stream in streams.items():
            if not (stream["config"].get("mirror") or stream["config"].get("sources")):
                with suppress(Missing, NotFoundError):  # deleted since it was listed
                    found[name] = await _items(account, name, stream)
    return found


async def _items(account: Account, name: str, stream: Mapping[str, Any]) -> dict[str, str]:
    state, subjects = stream["state"], stream["config"].get("subjects")
    if max(state["messages"], state.get("num_deleted", 0)) > MOST:
        return {WHOLE: fingerprint((stream["created"], *(state.get(key) for key in ("messages", "first_seq", "last_seq", "num_deleted"))))}
    if subjects == [f"$KV.{name.removeprefix('KV_')}.>"]:
        return await _keys(account, name.removeprefix("KV_"))
    if name.startswith("OBJ_") and subjects and f"$O.{name.removeprefix('OBJ_')}.M.>" in subjects:
        return await _objects(account, name.removeprefix("OBJ_"))
    return {f"#{number}": stream["created"] for number in await account.numbers(name)}


async def _keys(account: Account, bucket: str) -> dict[str, str]:
    found = {}
    watcher = await (await account.jetstream.key_value(bucket)).watchall(ignore_deletes=True)
    async for entry in watcher:
        if entry is None:  # the marker after the last existing entry
            break
        found[entry.key] = fingerprint(entry.value)
    await watcher.stop()
    return found


async def _objects(account: Account, bucket: str) -> dict[str, str]:
    try:
        every = await (await account.jetstream.object_store(bucket)).list(ignore_deletes=True)
    except NotFoundError:  # the bucket is empty
        return {}
    return {each.name: fingerprint((each.digest, each.size, each.description, each.headers)) for each in every}
