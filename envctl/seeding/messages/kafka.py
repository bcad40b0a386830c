"""Send records to Kafka; the broker acknowledges each record."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from envctl.definition.seed_entries import KafkaMessage
from envctl.definition.yaml_parser import written
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed
from envctl.seeding.entries import body
from envctl.seeding.libraries import library

WHAT = "a `messages` seed"
TIMEOUT = 60
IN_FLIGHT = 1000
"""The number of records whose acknowledgements are awaited together."""


def send(step: Step, seeder: Seeder, messages: Iterable[tuple[str, KafkaMessage]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # `importlib.resources` causes it on Python 3.11 and 3.12
        kafka, errors = library("kafka", step.service, WHAT), library("kafka.errors", step.service, WHAT)
    at, where = seeder.endpoint(step.service), step.where
    try:
        producer = kafka.KafkaProducer(bootstrap_servers=f"{at.host}:{at.port}", acks="all", max_block_ms=TIMEOUT * 1000)
        try:
            sent: list[tuple[str, Any]] = []
            for where, message in messages:
                sent.append((where, _sent(producer, message, where)))
                if len(sent) >= IN_FLIGHT:
                    where = _await(sent)
            where = _await(sent)
        finally:
            producer.close(timeout=TIMEOUT)
    except (errors.KafkaError, AssertionError, _NotTaken) as error:
        place = error.where if isinstance(error, _NotTaken) else where
        raise failed(step, place, str(error) or type(error).__name__) from None


class _NotTaken(Exception):
    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


def _sent(producer: Any, message: KafkaMessage, where: str) -> Any:
    key = written(message.key) if isinstance(message.key, int | float) else message.key
    headers = [(name, str(value).encode()) for name, value in message.headers.items()]
    return producer.send(
        message.topic,
        value=body(message, where),
        key=None if key is None else key.encode(),
        headers=headers,
        partition=message.partition,
    )


def _await(sent: list[tuple[str, Any]]) -> str:
    """Wait until all records are acknowledged; return the place of the last one."""
    where = ""
    for where, future in sent:
        try:
            future.get(timeout=TIMEOUT)
        except Exception as error:
            raise _NotTaken(where, str(error) or type(error).__name__) from None
    sent.clear()
    return where
