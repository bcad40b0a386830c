"""Publish messages to NATS subjects; a stream must confirm each message that is meant for JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from envctl.definition.seed_entries import NatsMessage
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed
from envctl.seeding.entries import body
from envctl.seeding.libraries import library

TIMEOUT = 30
FLUSH_EVERY = 1000
"""The number of messages between two flushes; without flushes, the client would hold all messages in memory."""


def send(step: Step, seeder: Seeder, messages: Iterable[tuple[str, NatsMessage]]) -> None:
    library("nats", step.service, "a `messages` seed")
    asyncio.run(_send(step, seeder, messages))


async def _send(step: Step, seeder: Seeder, messages: Iterable[tuple[str, NatsMessage]]) -> None:
    import nats
    from nats.errors import Error

    at, where = seeder.endpoint(step.service), step.where
    user, password = (str(at.properties.get(key) or "") for key in ("username", "password"))
    told: list[str] = []

    async def tell(error: Exception) -> None:
        told.append(str(error))

    try:
        client = await nats.connect(
            f"nats://{at.host}:{at.port}", user=user, password=password, allow_reconnect=False, error_cb=tell, connect_timeout=TIMEOUT
        )
        try:
            stream = client.jetstream(timeout=TIMEOUT)
            for number, (where, message) in enumerate(messages, start=1):
                headers = {name: str(value) for name, value in message.headers.items()} or None
                if message.jetstream:
                    await stream.publish(message.subject, body(message, where) or b"", headers=headers)
                else:
                    await client.publish(message.subject, body(message, where) or b"", headers=headers)
                if number % FLUSH_EVERY == 0:
                    await client.flush(TIMEOUT)
            await client.flush(TIMEOUT)
        finally:
            await client.close()
    except (Error, OSError, TimeoutError) as error:
        raise failed(step, where, "\n".join([*told, str(error) or type(error).__name__])) from None
    if told:
        raise failed(step, where, "\n".join(told))
