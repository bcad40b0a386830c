"""Kafka units: topics with the same partitions, settings and messages. A reset truncates a topic; its consumers continue at the end.

Topics that are not declared are not divided between lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

from envctl.units import TemplateGone, UnitError


def open_driver(properties: Mapping[str, Any]) -> KafkaDriver:
    with _errors():
        return KafkaDriver(f"{properties['host']}:{properties['port']}")


class KafkaDriver:
    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def keep(self, base: str, template: str) -> None:
        self._copy(base, template)

    def clone(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def reset(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def drop(self, unit: str) -> None:
        with _errors():
            try:
                self._admin.delete_topics([unit])
            except UnknownTopicOrPartitionError:
                return

    def close(self) -> None:
        self._admin.close()

    def _copy(self, source: str, target: str) -> None:
        with _errors():
            consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False, allow_auto_create_topics=False)
            try:
                parts = consumer.partitions_for_topic(source)
                if not parts:
                    raise TemplateGone(f"there is no topic '{source}'")
                settings = self._settings(source)
                if "delete" not in settings.get("cleanup.policy", "delete"):
                    self.drop(target)  # a broker cannot truncate a compacted topic
                self._create(target, len(parts), settings)
                filled = self._filled(consumer, [TopicPartition(target, part) for part in parts])
                if filled:
                    self._admin.delete_records(dict.fromkeys(filled, -1))
                self._copy_messages(consumer, [TopicPartition(source, part) for part in parts], target)
            finally:
                consumer.close()

    def _create(self, target: str, partitions: int, settings: Mapping[str, str]) -> None:
        try:
            wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(settings)}
            self._admin.create_topics({target: wanted}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return

    def _filled(self, consumer: Any, parts: list[Any]) -> dict[Any, int]:
        """Return the partitions in *parts* that contain messages, with their end offsets."""
        ends, begins = consumer.end_offsets(parts), consumer.beginning_offsets(parts)
        return {part: ends[part] for part in parts if ends[part] > begins[part]}

    def _settings(self, topic: str) -> dict[str, str]:
        """Return the settings that were set for *topic*."""
        found: Any = self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        settings = next(iter(found.values()))[topic]
        return {name: str(what["value"]) for name, what in settings.items()}

    def _copy_messages(self, consumer: Any, parts: list[Any], target: str) -> None:
        ends = self._filled(consumer, parts)
        left = set(ends)
        if not left:
            return
        consumer.assign(list(left))
        consumer.seek_to_beginning(*left)
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5)
        while left:
            for messages in consumer.poll(timeout_ms=500).values():
                for message in messages:
                    producer.send(
                        target,
                        message.value,
                        message.key,
                        list(message.headers),
                        partition=message.partition,
                        timestamp_ms=message.timestamp,
                    )
            left = {part for part in left if consumer.position(part) < ends[part]}
        producer.flush()
        producer.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise UnitError(f"Kafka: {error}") from None
