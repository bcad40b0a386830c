"""MQTT units: prefixes of topics, which clients put before their topics. A unit contains the retained messages under its prefix.

A copy and a reset send only the differences, because subscribed clients see each change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from envctl.units import UnitError

PATIENCE = 10.0
"""The number of seconds to wait for an answer of the broker."""
OURS = "envctl/"
"""The start of every unit's prefix; topics that were seeded without a prefix do not have it."""
BATCH = 100
"""The number of topics per subscription with acknowledgements: a broker queues about 1,000 messages of a client and drops the rest."""


def open_driver(properties: Mapping[str, Any]) -> MqttDriver:
    return MqttDriver(properties)


class MqttDriver:
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties

    def keep(self, base: str, template: str) -> None:
        self._copy(base, template)

    def clone(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def reset(self, template: str, unit: str) -> None:
        self._copy(template, unit)

    def drop(self, unit: str) -> None:
        self._send({unit + topic: None for topic in self.retained(unit)})

    def close(self) -> None:
        """Do nothing, because the driver holds no connection."""

    def retained(self, prefix: str) -> dict[str, bytes]:
        """Return the retained payloads below *prefix*, by topic without the prefix.

        Raises:
            UnitError: The broker does not answer.
        """
        found: dict[str, bytes] = {}
        over, wanted = threading.Event(), f"{prefix}#"

        def take(_client: Any, _data: Any, message: Any) -> None:
            if message.retain and not (message.topic.startswith(OURS) and not prefix):
                found[message.topic.removeprefix(prefix)] = message.payload

        with self._connected() as client:
            client.on_message = take
            # The broker sends retained messages before it answers the unsubscription. Other clients do not notice an unsubscription, but
            # would receive a message.
            client.on_subscribe = lambda *_: client.unsubscribe(wanted)
            client.on_unsubscribe = lambda *_: over.set()
            # Without acknowledgements (QoS 0), because a broker drops messages waiting for an acknowledgement if its queue is full.
            client.subscribe(wanted, qos=0)
            if not over.wait(PATIENCE):
                raise self._error("it does not send its retained messages; are there more than `max_queued_messages`?")
        return found

    def _copy(self, source: str, target: str) -> None:
        wanted, there = self.retained(source), self.retained(target)
        gone = {target + topic: None for topic in there if topic not in wanted}
        different = [topic for topic, payload in wanted.items() if there.get(topic) != payload]
        self._send({**gone, **{target + topic: message for topic, message in self._whole(source, different).items()}})

    def _whole(self, prefix: str, topics: Sequence[str]) -> dict[str, Any]:
        """Return the retained messages of *topics*, with their quality of service."""
        found: dict[str, Any] = {}
        for first in range(0, len(topics), BATCH):
            found |= self._batch(prefix, topics[first : first + BATCH])
        return found

    def _batch(self, prefix: str, topics: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        over = threading.Event()

        def take(_client: Any, _data: Any, message: Any) -> None:
            found[message.topic.removeprefix(prefix)] = message
            if len(found) == len(topics):
                over.set()

        with self._connected() as client:
            client.on_message = take
            client.subscribe([(prefix + topic, 2) for topic in topics])
            if not over.wait(PATIENCE):
                raise self._error(f"it sends only {len(found)} of {len(topics)} retained messages")
        return found

    def _send(self, messages: Mapping[str, Any]) -> None:
        """Publish each message as retained; a None deletes the retained message of its topic."""
        if not messages:
            return
        with self._connected() as client:
            sent = [
                client.publish(topic, message.payload, message.qos, retain=True, properties=message.properties)
                if message is not None
                else client.publish(topic, b"", qos=1, retain=True)
                for topic, message in messages.items()
            ]
            for each in sent:
                each.wait_for_publish(PATIENCE)
                if not each.is_published():
                    raise self._error("it does not acknowledge a retained message")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        client: Any = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if self._of["username"]:
            client.username_pw_set(str(self._of["username"]), str(self._of["password"]))
        answers: list[Any] = []
        answered = threading.Event()

        def take(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            answers.append(reason)
            answered.set()

        client.on_connect = take
        try:
            client.connect(str(self._of["host"]), int(self._of["port"]))
            client.loop_start()
            if not answered.wait(PATIENCE) or answers[0].is_failure:
                raise self._error(str(answers[0]) if answers else "it does not answer")
            yield client
        except (OSError, ValueError, RuntimeError) as error:
            raise self._error(str(error)) from None
        finally:
            client.disconnect()
            client.loop_stop()

    def _error(self, why: str) -> UnitError:
        return UnitError(f"MQTT at {self._of['host']}:{self._of['port']}: {why}")
