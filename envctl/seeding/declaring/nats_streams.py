"""Create JetStream streams and their consumers, each in its account."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from envctl.definition.amounts import parse_duration
from envctl.plan.model import ServicePlan
from envctl.seeding import Endpoint, Seeder
from envctl.seeding.declaring import refused
from envctl.seeding.libraries import library

KEY = "streams"
TIMEOUT = 30
OTHERWISE = 10058
"""JetStream's error code for an existing stream of the same name with another configuration."""
Options = Mapping[str, Any]


def declare(seeder: Seeder, service: ServicePlan) -> None:
    library("nats", service.name, "a declared stream")
    asyncio.run(_declare(seeder.endpoint(service.name), service))


async def _declare(at: Endpoint, service: ServicePlan) -> None:
    for name, options in at.properties[KEY].items():
        await _stream(at, service, name, options)


async def _stream(at: Endpoint, service: ServicePlan, name: str, options: Options) -> None:
    import nats
    from nats.errors import Error

    who = at.properties["accounts"][options["account"]] if options.get("account") else at.properties
    url, user, password = f"nats://{at.host}:{at.port}", str(who["username"]), str(who["password"])
    try:
        client = await nats.connect(url, user=user, password=password, allow_reconnect=False, connect_timeout=TIMEOUT)
        try:
            stream = client.jetstream(timeout=TIMEOUT)
            await _made(stream, stream_config(name, options))
            for consumer, wanted in (options.get("consumers") or {}).items():
                await stream.add_consumer(name, **consumer_config(consumer, wanted or {}))
        finally:
            await client.close()
    except (Error, OSError, TimeoutError, ValueError) as error:
        raise refused(service, f"the stream '{name}'", getattr(error, "description", None) or error) from None


async def _made(stream: Any, config: Mapping[str, Any]) -> None:
    """Create a stream. Update an existing one and keep its messages; a change that the server does not allow is an error of the server."""
    from nats.js.errors import BadRequestError

    try:
        await stream.add_stream(**config)
    except BadRequestError as error:
        if error.err_code != OTHERWISE:
            raise
        await stream.update_stream(**config)


def stream_config(name: str, options: Options) -> dict[str, Any]:
    """Return the arguments of nats-py's `add_stream`; ages are in seconds."""
    given = {
        "subjects": options.get("subjects") or [name],
        "retention": options["retention"],
        "storage": options["storage"],
        "max_msgs": options.get("max_messages"),
        "max_bytes": options.get("max_bytes"),
        "max_age": _seconds(options.get("max_age")),
        "duplicate_window": _seconds(options.get("duplicate_window")),
    }
    return {"name": name, **{key: value for key, value in given.items() if value is not None}}


def consumer_config(name: str, options: Options) -> dict[str, Any]:
    """Return the arguments of nats-py's `add_consumer` for a durable pull consumer; times are in seconds."""
    given = {
        "filter_subjects": options.get("subjects"),
        "deliver_policy": options.get("deliver", "all"),
        "ack_policy": options.get("ack", "explicit"),
        "ack_wait": _seconds(options.get("ack_wait")),
        "max_deliver": options.get("max_deliver"),
    }
    return {"durable_name": name, **{key: value for key, value in given.items() if value is not None}}


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)
