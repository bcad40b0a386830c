"""A mapping: which requests, and the response to them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping as Object
from dataclasses import dataclass

from ..http.message import Response
from .patterns import Pattern, parse_pattern
from .refusal import Problems, Refusal, as_settings, as_text, as_whole_number, unknown
from .responses import ReadFile, parse_response

DEFAULT_PRIORITY = 5

_KNOWN = ("id", "name", "priority", "request", "response")
_WITHOUT_EFFECT = ("uuid", "persistent", "metadata", "insertionIndex", "$schema")
_UNSUPPORTED = (
    "newScenarioState",
    "postServeActions",
    "requiredScenarioState",
    "scenarioName",
    "serveEventListeners",
)
_MOST = (1 << 31) - 1


@dataclass(frozen=True)
class Mapping:
    """A mapping that is ready to answer; `source` is the object it was made of, `origin` its place in a file, if any."""

    id: str
    name: str
    priority: int
    pattern: Pattern
    response: Response
    origin: str
    source: Object[str, object]

    @property
    def label(self) -> str:
        """What to call it in a log."""
        return self.name or self.origin or self.id

    def described(self) -> dict[str, object]:
        """The mapping in WireMock's format."""
        return {"id": self.id, **self.source, "uuid": self.id}


def parse_mapping(value: object, origin: str, read_file: ReadFile) -> Mapping:
    """The mapping that an object describes; everything wrong with it is in the Refusal."""
    spec = as_settings(value)
    problems = Problems()
    identity, name, priority, pattern, response = "", "", DEFAULT_PRIORITY, Pattern(), Response(200)
    _check_keys(spec, problems)
    with problems.at("id"):
        identity = _identity(spec.get("id", spec.get("uuid")))
    with problems.at("name"):
        name = as_text(spec.get("name", ""))
    with problems.at("priority"):
        priority = as_whole_number(spec.get("priority", DEFAULT_PRIORITY), -_MOST, _MOST)
    with problems.at("request"):
        pattern = parse_pattern(spec.get("request"))
    with problems.at("response"):
        response = parse_response(spec.get("response"), read_file)
    problems.settle()
    return Mapping(identity, name, priority, pattern, response, origin, {**spec, "id": identity})


def _check_keys(spec: dict[str, object], problems: Problems) -> None:
    for key, value in spec.items():
        if key in _UNSUPPORTED and value:
            problems.note(f"{key!r} is not supported; supported: {', '.join(_KNOWN)}")
        elif key not in (*_KNOWN, *_WITHOUT_EFFECT, *_UNSUPPORTED):
            problems.note(unknown("key", key, _KNOWN))


def _identity(value: object) -> str:
    if value is None:
        return str(uuid.uuid4())
    text = as_text(value)
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Refusal(f"{text!r} is not a UUID; a name may be any text") from None
