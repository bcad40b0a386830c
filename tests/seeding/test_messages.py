"""Tests of messages that no broker gets, and of values that a broker's protocol cannot represent."""

from __future__ import annotations

from typing import Any

import pytest
from amqp.serialization import dumps
from pydantic import ValidationError

from envctl.definition.seed_entries import AmqpMessage, NatsMessage
from envctl.errors import ServiceFailed
from envctl.seeding import BadFile, Endpoint, Seeder
from envctl.seeding.entries import checked
from envctl.seeding.item_files import Item
from envctl.seeding.messages import amqp
from tests.builders import FakeDeployment, plan_with, step_of


@pytest.mark.parametrize("subject", ["a.*", "a.>", "*", ">", "a.", ".a", "a..b", "a b", "a.\t"])
def test_a_subject_that_is_none_is_refused(subject: str) -> None:
    """The server would accept a message to such a subject, and no subscriber could receive it."""
    with pytest.raises(ValidationError, match="is not a subject that messages can be sent to"):
        NatsMessage(subject=subject)


def test_a_mistake_in_a_file_is_in_our_words() -> None:
    with pytest.raises(BadFile, match=r"^subject: 'a\.\.b' is not a subject"):
        list(checked([Item("x.jsonl:2", None, {"subject": "a..b"})], NatsMessage))


@pytest.mark.parametrize("subject", ["a", "a.b", "a*b.c>", "ü.$x", "envctl/lane2.a"])
def test_a_subject(subject: str) -> None:
    assert NatsMessage(subject=subject).subject == subject


@pytest.mark.parametrize("headers", [{"a": "x\r\nother: 1"}, {"a\n": 1}])
def test_a_header_of_several_lines_is_refused(headers: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="the header 'a' has a line break"):
        NatsMessage(subject="a", headers=headers)


class Channel:
    """A channel that serializes a message as the library does, but does not send it."""

    returned: tuple[()] = ()

    def basic_publish(self, message: Any, *, routing_key: str, **given: Any) -> None:
        dumps("s", [routing_key])
        message._serialize_properties()


@pytest.mark.parametrize(
    "message", [{"queue": "q" * 300}, {"exchange": "e", "routing_key": "ü" * 200}, {"queue": "q", "headers": {"a": 1 << 70}}]
)
def test_what_amqp_has_no_room_for_is_named(monkeypatch: pytest.MonkeyPatch, message: dict[str, Any]) -> None:
    monkeypatch.setattr(amqp, "_channel", lambda *given: Channel())
    monkeypatch.setattr(Seeder, "endpoint", lambda seeder, name: Endpoint("127.0.0.1", 1, {"virtual_host": "/"}))
    seeder = Seeder(plan_with(), FakeDeployment(), {}, plan_with().folder)
    with pytest.raises(ServiceFailed, match=r"failed at e.yaml:7: .*255 bytes, or a number of more than 64 bits"):
        amqp.send(step_of("bus"), seeder, [("e.yaml:7", AmqpMessage(**message))])
