"""RabbitMQ: how many messages the queues of a virtual host hold, and its exchanges and queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from envctl.units.web import WebClient


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Raises UnitError: it does not answer, or has no management API."""
    login = (str(properties["username"]).encode(), str(properties["password"]).encode())
    web = WebClient(f"http://{properties['host']}:{properties['ports']['management']}/api", login)
    host = quote(unit or "/", safe="")
    try:
        queues, exchanges = web("GET", f"/queues/{host}").json(), web("GET", f"/exchanges/{host}").json()
    finally:
        web.close()
    return {
        "queues": {each["name"]: str(each.get("messages", 0)) for each in queues},
        "exchanges": {each["name"]: each["type"] for each in exchanges if each["name"] and not each["name"].startswith("amq.")},
    }
