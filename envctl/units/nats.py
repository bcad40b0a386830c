"""NATS units: accounts in the server's configuration. A unit is a lane's main account, and one account for each declared account.

With lanes, the seeded data is in accounts that no test uses. A reset purges the lane's streams (key-value and object stores are streams,
too) and sends the seeded messages to them again. Streams and consumers stay, because the services under test use them. Without
lanes, a reset only purges.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.errors import Error, NoRespondersError

from envctl.units import TemplateGone, UnitError

TIMEOUT = 30
BATCH = 200
"""The number of messages that are requested or sent before their answers are awaited."""
GONE = 404
OFF = (10039, 10076)
"""JetStream's error codes for an account and for a server without JetStream."""
Login = Mapping[str, Any]
T = TypeVar("T")


def open_driver(properties: Mapping[str, Any]) -> NatsDriver:
    return NatsDriver(properties)


class NatsDriver:
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties

    def keep(self, base: str, template: str) -> None:
        """Do nothing, because the seeded accounts themselves are the template."""

    def clone(self, template: str, unit: str) -> None:
        self._each(self._copied, template, unit, True)

    def reset(self, template: str, unit: str) -> None:
        self._each(self._copied if unit else self._emptied, template, unit, False)

    def drop(self, unit: str) -> None:
        self._each(self._emptied, "", unit, True)

    def close(self) -> None:
        """Do nothing, because the driver holds no connection."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* and return its result. Raise UnitError if the server does not answer or refuses."""
        try:
            return asyncio.run(work)
        except (Error, OSError) as error:
            raise UnitError(f"NATS at {self._of['host']}:{self._of['port']}: {error or type(error).__name__}") from None

    def logins(self, unit: str) -> dict[str, Login]:
        """Return the logins of a unit by account: first the main account, under an empty name, then the declared accounts with JetStream.

        An empty *unit* means the seeded accounts. A server without JetStream has no logins here.

        Raises:
            TemplateGone: The server has no such account.
        """
        if not self._of.get("jetstream", True):
            return {}
        told = self._of if not unit else (self._of.get("units") or {}).get(unit)
        if told is None:
            raise TemplateGone(f"the server has no account '{unit}'")
        accounts: Mapping[str, Login] = told.get("accounts") or {}
        return {"": told, **{name: account for name, account in accounts.items() if account.get("jetstream", True)}}

    def _each(self, work: Any, template: str, unit: str, fresh: bool) -> None:
        """Run *work* for every account of *unit*, together with the account of *template* that it is a copy of."""
        for source, target in zip(self.logins(template).values(), self.logins(unit).values(), strict=True):
            self.run(work(source, target, fresh))

    async def _emptied(self, _: Login, login: Login, gone: bool) -> None:
        async with self.account(login) as account:
            await account.empty(() if gone else None)

    async def _copied(self, source: Login, login: Login, fresh: bool) -> None:
        """Copy the account *source*.

        Streams that *source* does not have are deleted from a *fresh* unit, and only emptied in a unit that is in use.
        """
        async with self.account(source) as seeded, self.account(login) as own:
            wanted = await seeded.streams()
            await own.empty(wanted if fresh else None)
            await own.declare(wanted, await seeded.consumers(wanted))
            for name, stream in wanted.items():
                if not (stream["config"].get("mirror") or stream["config"].get("sources")):  # such streams fill themselves
                    await own.send(seeded.messages(name, stream["state"]))

    @asynccontextmanager
    async def account(self, login: Login) -> AsyncIterator[Account]:
        server, user, password = f"nats://{self._of['host']}:{self._of['port']}", str(login["username"]), str(login["password"])
        client = Client()
        try:
            await client.connect(server, user=user, password=password, allow_reconnect=False, connect_timeout=TIMEOUT, error_cb=_unsaid)
            yield Account(client)
        finally:
            await client.close()


async def _unsaid(_: Exception) -> None:
    """Ignore the error: it is raised as well, and without this callback the library would log it."""


class Account:
    """The JetStream data of one account. The raw API is used, because the library's models drop fields that they do not know."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.jetstream = client.jetstream(timeout=TIMEOUT)

    async def streams(self) -> dict[str, Any]:
        """Return the streams by name; an empty map without JetStream."""
        try:
            return {stream["config"]["name"]: stream for stream in await self._listed("STREAM.LIST", "streams")}
        except (NoRespondersError, _Off):
            return {}

    async def numbers(self, stream: str) -> list[int]:
        """Return the sequence numbers of the messages in *stream*."""
        state = (await self._ask(f"STREAM.INFO.{stream}", {"deleted_details": True}))["state"]
        gone = set(state.get("deleted") or ())
        return [number for number in range(state["first_seq"], state["last_seq"] + 1) if number not in gone] if state["messages"] else []

    async def consumers(self, streams: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """Return the configurations of the durable consumers of each stream; other consumers only live as long as their client."""
        found = {name: await self._listed(f"CONSUMER.LIST.{name}", "consumers") for name in streams}
        return {name: [each["config"] for each in every if each["config"].get("durable_name")] for name, every in found.items()}

    async def empty(self, only: Any) -> None:
        """Purge every stream, or delete it if it denies purging.

        Args:
            only: The names of the streams to keep; all others are deleted. None keeps all.
        """
        for name, stream in (await self.streams()).items():
            goes = stream["config"].get("deny_purge") or (only is not None and name not in only)
            await self._ask(f"STREAM.{'DELETE' if goes else 'PURGE'}.{name}", {})

    async def declare(self, streams: Mapping[str, Any], consumers: Mapping[str, Any]) -> None:
        there = await self.streams()
        known = await self.consumers(there)
        for name, stream in streams.items():
            if name not in there or there[name]["config"] != stream["config"]:
                await self._ask(f"STREAM.{'UPDATE' if name in there else 'CREATE'}.{name}", stream["config"])
            names = {each["durable_name"] for each in known.get(name, ())}
            for wanted in (each for each in consumers[name] if each["durable_name"] not in names):
                told = {"stream_name": name, "config": wanted}
                await self._ask(f"CONSUMER.DURABLE.CREATE.{name}.{wanted['durable_name']}", told)

    async def messages(self, stream: str, state: Mapping[str, Any]) -> AsyncIterator[list[Any]]:
        """Yield the messages of *stream* in batches; each message is its subject, headers and bytes."""
        end = state["last_seq"] + 1
        for first in range(state["first_seq"], end, BATCH) if state["messages"] else ():
            numbers = range(first, min(first + BATCH, end))
            found = await asyncio.gather(*(self._message(stream, number) for number in numbers))
            yield [each for each in found if each is not None]

    async def _message(self, stream: str, number: int) -> tuple[str, dict[str, str], bytes] | None:
        with suppress(Missing):  # the message was deleted, or replaced by a later one
            found = (await self._ask(f"STREAM.MSG.GET.{stream}", {"seq": number}))["message"]
            return found["subject"], dict(_headers(found.get("hdrs", ""))), base64.b64decode(found.get("data", ""))
        return None

    async def send(self, batches: AsyncIterator[list[Any]]) -> None:
        """Send the messages in order; the stream that takes a message must acknowledge it."""
        inbox = self._client.new_inbox()
        answers = await self._client.subscribe(inbox)
        async for batch in batches:
            for subject, headers, data in batch:
                await self._client.publish(subject, data, reply=inbox, headers=headers or None)
            for subject, _, _ in batch:
                answer = (await answers.next_msg(TIMEOUT)).data
                if not answer or "error" in json.loads(answer):
                    raise UnitError(f"NATS: no stream takes the seeded message of '{subject}': {answer.decode()}")

    async def _listed(self, what: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (answer := await self._ask(what, {"offset": len(found)})).get(key):
            found += answer[key]
            if len(found) >= answer["total"]:
                break
        return found

    async def _ask(self, what: str, told: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            (await self._client.request(f"$JS.API.{what}", json.dumps(told).encode(), timeout=TIMEOUT)).data
        )
        if error := answer.get("error"):
            kind = Missing if error["code"] == GONE else _Off if error.get("err_code") in OFF else UnitError
            raise kind(f"NATS: {what}: {error.get('description')}")
        return answer


class Missing(UnitError):
    """A stream or message that JetStream does not have."""


class _Off(UnitError):
    """An account or a server without JetStream."""


def _headers(encoded: str) -> Iterator[tuple[str, str]]:
    """Yield the headers, except those that state what the sender expected of the stream at that time."""
    for line in base64.b64decode(encoded).decode(errors="replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon and not name.startswith("Nats-Expected-"):
            yield name, value.strip()
