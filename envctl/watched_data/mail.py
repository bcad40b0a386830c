"""Mail: the messages of the mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.web import WebClient
from envctl.watched_data import MOST


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Raises UnitError: it does not answer."""
    login = (str(properties["username"]), str(properties["password"]))
    web = WebClient(f"http://{properties['host']}:{properties['ports']['web']}", login)
    try:
        messages = web("GET", f"/api/v1/messages?limit={MOST}").json()["messages"]
    finally:
        web.close()
    return {"messages": {f"{each['Subject']} ({each['ID']})": each["ID"] for each in messages}}
