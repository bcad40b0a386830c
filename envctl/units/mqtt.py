"""MQTT: the server as a whole is the unit, and a reset takes every retained message away."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from envctl.units import Emptied, UnitError

PATIENCE = 10.0
"""Seconds."""


def open_driver(properties: Mapping[str, Any]) -> MqttDriver:
    return MqttDriver(properties)


class MqttDriver(Emptied):
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties

    def reset(self, template: str, unit: str) -> None:
        """Retained messages come before the answer to a message of our own that follows the subscription."""
        retained: list[str] = []
        over, end = threading.Event(), f"envctl/reset/{id(self)}"
        client: Any = mqtt.Client(CallbackAPIVersion.VERSION2)
        if self._of["username"]:
            client.username_pw_set(str(self._of["username"]), str(self._of["password"]))
        client.on_connect = lambda *_: client.subscribe("#")
        client.on_subscribe = lambda *_: client.publish(end, b"over")
        client.on_message = lambda _client, _data, message: (
            over.set() if message.topic == end else retained.append(message.topic) if message.retain else None
        )
        try:
            client.connect(str(self._of["host"]), int(self._of["port"]))
            client.loop_start()
            if not over.wait(PATIENCE):
                raise UnitError(f"MQTT at {self._of['host']}:{self._of['port']} does not answer")
            for published in [client.publish(topic, b"", qos=1, retain=True) for topic in retained]:
                published.wait_for_publish(PATIENCE)
        except OSError as error:
            raise UnitError(f"MQTT at {self._of['host']}:{self._of['port']}: {error}") from None
        finally:
            client.disconnect()
            client.loop_stop()
