"""MQTT: the retained messages below a lane's prefix, by their topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.mqtt import open_driver
from envctl.watched_data import MOST, WHOLE, fingerprint


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the retained messages. Raise UnitError if the broker does not answer."""
    found = {topic: fingerprint(payload) for topic, payload in open_driver(properties).retained(unit).items()}
    return {"retained": found if len(found) <= MOST else {WHOLE: f"{len(found)} {fingerprint(sorted(found.items()))}"}}
