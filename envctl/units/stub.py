"""Stub units: the server as a whole is one unit; a reset empties its journal and restores the routes of its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units import Emptied
from envctl.units.web import WebClient


def open_driver(properties: Mapping[str, Any]) -> StubDriver:
    return StubDriver(properties)


def client(properties: Mapping[str, Any]) -> WebClient:
    return WebClient(f"http://{properties['host']}:{properties['port']}/__admin")


class StubDriver(Emptied):
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._web = client(properties)

    def reset(self, template: str, unit: str) -> None:
        self._web("POST", "/reset")

    def close(self) -> None:
        self._web.close()
