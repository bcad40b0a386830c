"""RabbitMQ: how many messages the queues of a virtual host hold, and its exchanges and queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.rabbitmq import client, part


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Raises UnitError: it does not answer; DriverMissing: it has no management API."""
    with client(properties) as web:
        host = part(unit or "/")
        queues, exchanges = web("GET", f"/queues/{host}").json(), web("GET", f"/exchanges/{host}").json()
    return {
        "queues": {each["name"]: str(each.get("messages", 0)) for each in queues},
        "exchanges": {each["name"]: each["type"] for each in exchanges if each["name"] and not each["name"].startswith("amq.")},
    }
