"""RabbitMQ: the queues of a virtual host with their numbers of messages, and its exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.rabbitmq import client, part


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the queues and exchanges. Raise UnitError if the broker does not answer, DriverMissing if it has no management API."""
    with client(properties) as web:
        host = part(unit or "/")
        queues, exchanges = web("GET", f"/queues/{host}").json(), web("GET", f"/exchanges/{host}").json()
    return {
        "queues": {each["name"]: str(each.get("messages", 0)) for each in queues},
        "exchanges": {each["name"]: each["type"] for each in exchanges if each["name"] and not each["name"].startswith("amq.")},
    }
