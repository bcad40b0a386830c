"""Test that a message sent to a topic is received from it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, KafkaProducer

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP"]
TOPIC = os.environ["ORDERS_TOPIC"]


@pytest.fixture
def producer() -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    yield producer
    producer.close()


@pytest.fixture
def consumer() -> Iterator[KafkaConsumer]:
    # From the beginning and without a group, so that no message is missed and no other consumer is affected.
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest")
    yield consumer
    consumer.close()


def test_the_topics_are_there(consumer: KafkaConsumer) -> None:
    assert {"orders", "payments"} <= consumer.topics()


def test_a_message_arrives(producer: KafkaProducer, consumer: KafkaConsumer) -> None:
    value = secrets.token_bytes(16)

    producer.send(TOPIC, value, key=b"order-1").get(timeout=15)

    assert value in _received(consumer, value)


def _received(consumer: KafkaConsumer, wanted: bytes, seconds: float = 15.0) -> list[bytes]:
    deadline, values = time.monotonic() + seconds, []
    while wanted not in values and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            values += [record.value for record in records]
    return values
