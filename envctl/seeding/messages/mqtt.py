"""Send messages over MQTT; each is acknowledged as its quality of service requires."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event
from typing import Any

from envctl.definition.seed_entries import MqttMessage
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed
from envctl.seeding.entries import body
from envctl.seeding.libraries import library

WHAT = "a `messages` seed"
TIMEOUT = 30


def send(step: Step, seeder: Seeder, messages: Iterable[tuple[str, MqttMessage]]) -> None:
    mqtt, enums = library("paho.mqtt.client", step.service, WHAT), library("paho.mqtt.enums", step.service, WHAT)
    at, where = seeder.endpoint(step.service), step.where
    # Only version 5 reports why the broker refuses a message.
    client = mqtt.Client(enums.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    if user := str(at.properties.get("username") or ""):
        client.username_pw_set(user, str(at.properties.get("password") or ""))
    answers = _Answers(client)
    try:
        client.connect(at.host, at.port)
        client.loop_start()
        answers.await_connected()
        for where, message in messages:
            sent = client.publish(message.topic, body(message, where) or b"", qos=message.qos, retain=message.retain)
            sent.wait_for_publish(TIMEOUT)
            answers.check(sent)
    except (OSError, ValueError, RuntimeError) as error:
        raise failed(step, where, str(error)) from None
    finally:
        client.disconnect()
        client.loop_stop()


class _Answers:
    """The broker's answers, which the client library delivers in its own thread."""

    def __init__(self, client: Any) -> None:
        self._connected, self._refusals = Event(), list[str]()
        client.on_connect = lambda client, data, flags, reason, properties: self._take(reason)
        client.on_publish = lambda client, data, number, reason, properties: self._take(reason)

    def _take(self, reason: Any) -> None:
        if reason.is_failure:
            self._refusals.append(str(reason))
        self._connected.set()

    def await_connected(self) -> None:
        if not self._connected.wait(TIMEOUT):
            raise RuntimeError("the broker does not answer")
        self._raise()

    def check(self, sent: Any) -> None:
        if not sent.is_published():
            raise RuntimeError("the broker does not acknowledge the message")
        self._raise()

    def _raise(self) -> None:
        if self._refusals:
            raise RuntimeError(f"the broker refuses it: {self._refusals[0]}")
