"""Send messages to RabbitMQ; the broker confirms each message, and each must reach a queue."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from envctl.definition.seed_entries import AmqpMessage
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, failed
from envctl.seeding.entries import body, is_json

TIMEOUT = 60


def send(step: Step, seeder: Seeder, messages: Iterable[tuple[str, AmqpMessage]]) -> None:
    from amqp.exceptions import AMQPError

    hosts: dict[str, Any] = {}
    with ExitStack() as stack:
        for where, message in messages:
            try:
                host = message.virtual_host or str(seeder.endpoint(step.service).properties["virtual_host"])
                if host not in hosts:
                    hosts[host] = _channel(seeder, step, host, stack)
                _publish(hosts[host], message, where)
            except (AMQPError, OSError) as error:
                raise failed(step, where, str(getattr(error, "reply_text", "") or error)) from None
            except struct.error as error:
                raise failed(step, where, f"a name of more than 255 bytes, or a number of more than 64 bits: {error}") from None


def _channel(seeder: Seeder, step: Step, virtual_host: str, stack: ExitStack) -> Any:
    import amqp

    at = seeder.endpoint(step.service)
    connect: Any = amqp.Connection
    connection = connect(
        host=f"{at.host}:{at.port}",
        userid=str(at.properties["username"]),
        password=str(at.properties["password"]),
        virtual_host=virtual_host,
        login_method="PLAIN",
        confirm_publish=True,
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        write_timeout=TIMEOUT,
    )
    stack.callback(connection.collect)
    connection.connect()
    channel = connection.channel()
    channel.returned = []
    channel.events["basic_return"].add(lambda *returned: channel.returned.append(returned))
    return channel


def _publish(channel: Any, message: AmqpMessage, where: str) -> None:
    import amqp

    content = body(message, where) or b""
    kind = message.content_type or ("application/json" if is_json(message) else None)
    properties = {"content_type": kind} if kind else {}
    made = amqp.Message(content, application_headers=message.headers, delivery_mode=2, **properties)
    key = message.routing_key if message.queue is None else message.queue
    # Mandatory, because the broker would silently drop a message that no queue takes; with this flag it returns the message.
    channel.basic_publish(made, exchange=message.exchange or "", routing_key=key, mandatory=True, timeout=TIMEOUT)
    if channel.returned:
        target = f"queue '{message.queue}' does not exist" if message.queue else f"no queue is bound to '{message.exchange}' for '{key}'"
        raise BadFile(f"the message was not delivered: {target}", place=where)
