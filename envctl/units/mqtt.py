"""MQTT: a unit is a prefix of topics, which those who use it put before theirs; what it has are its retained messages.

A copy and a reset send what differs alone: clients that have subscribed see each change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from envctl.units import UnitError

PATIENCE = 10.0
"""Seconds."""
OURS = "envctl/"
"""Every unit's prefix begins with it; what was seeded without any does not."""


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
        self._send(dict.fromkeys(self._retained(unit)))

    def close(self) -> None:
        """It holds no connection."""

    def _copy(self, source: str, target: str) -> None:
        wanted = {target + topic.removeprefix(source): message for topic, message in self._retained(source).items()}
        there = self._retained(target)
        same = {topic for topic, message in there.items() if topic in wanted and wanted[topic].payload == message.payload}
        self._send({topic: wanted.get(topic) for topic in (*there, *wanted) if topic not in same})

    def _retained(self, prefix: str) -> dict[str, Any]:
        """Topics below *prefix* to what is retained there: that comes before a message of our own which follows the subscription."""
        found: dict[str, Any] = {}
        over, end = threading.Event(), f"{prefix}{OURS}over/{id(self)}"

        def take(_client: Any, _data: Any, message: Any) -> None:
            if message.topic == end:
                over.set()
            elif message.retain and not (message.topic.startswith(OURS) and not prefix):
                found[message.topic] = message

        with self._connected() as client:
            client.on_message = take
            client.on_subscribe = lambda *_: client.publish(end, b"over")
            client.subscribe(f"{prefix}#", qos=2)
            if not over.wait(PATIENCE):
                raise self._error("it does not answer")
        return found

    def _send(self, messages: Mapping[str, Any]) -> None:
        """Retains each of *messages*; None takes one away."""
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
