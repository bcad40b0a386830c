"""Mail units: the server as a whole is one unit, and a reset empties the mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units import Emptied
from envctl.units.web import WebClient


def open_driver(properties: Mapping[str, Any]) -> MailDriver:
    return MailDriver(properties)


def client(properties: Mapping[str, Any]) -> WebClient:
    return WebClient(f"http://{properties['host']}:{properties['ports']['web']}", properties)


class MailDriver(Emptied):
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._web = client(properties)

    def reset(self, template: str, unit: str) -> None:
        # Mailpit and MailHog share this path; MailDev, whose image a Compose file may name, uses another.
        if self._web("DELETE", "/api/v1/messages", allowed=(404,)).status_code == 404:
            self._web("DELETE", "/email/all")

    def close(self) -> None:
        self._web.close()
