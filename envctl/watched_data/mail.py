"""Mail: the messages of the mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.mail import client
from envctl.watched_data import MOST


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the messages. Raise UnitError if the server does not answer."""
    with client(properties) as web:
        answer = web("GET", f"/api/v1/messages?limit={MOST}", allowed=(404,))
        # Mailpit's path; MailDev, which a Compose file may use, has another one.
        messages = web("GET", "/email").json() if answer.status_code == 404 else answer.json()["messages"]
    known = [(each.get("Subject", each.get("subject", "")), each.get("ID", each.get("id"))) for each in messages]
    return {"messages": {f"{subject} ({id})": id for subject, id in known}}
