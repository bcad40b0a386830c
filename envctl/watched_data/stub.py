"""Stubs: the requests that a stub has answered, and its routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.stub import client
from envctl.watched_data import fingerprint


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the requests and the routes. Raise UnitError if the stub does not answer."""
    with client(properties) as web:
        requests, mappings = web("GET", "/requests").json()["requests"], web("GET", "/mappings").json()["mappings"]
    asked = {f"{each['request']['method']} {each['request']['url']} ({each['id']})": each["id"] for each in requests}
    return {"requests": asked, "routes": {str(each.get("id", number)): fingerprint(each) for number, each in enumerate(mappings)}}
