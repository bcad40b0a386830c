"""Mappings: parse them, and find the one that matches a request."""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Object
from typing import NamedTuple

from ..http.message import Headers, Request, Response
from .parsing import Problems, Refusal, as_object, as_settings, as_text, as_whole_number, key_problems, write_json
from .patterns import Pattern, parse_pattern

ReadFile = Callable[[str], bytes]
"""Returns the content of a body file, by its name; raises Refusal."""

DEFAULT_PRIORITY = 5

_KNOWN = ("id", "name", "priority", "request", "response")
_WITHOUT_EFFECT = ("uuid", "persistent", "metadata", "insertionIndex", "$schema")
_UNSUPPORTED = ("newScenarioState", "postServeActions", "requiredScenarioState", "scenarioName", "serveEventListeners")
_BODIES = ("body", "jsonBody", "base64Body", "bodyFileName")
_RESPONSE_KNOWN = ("status", "statusMessage", "headers", *_BODIES, "fixedDelayMilliseconds")
_RESPONSE_UNSUPPORTED = (
    "additionalProxyRequestHeaders",
    "chunkedDribbleDelay",
    "delayDistribution",
    "fault",
    "proxyBaseUrl",
    "proxyUrlPrefixToRemove",
    "removeProxyRequestHeaders",
    "transformerParameters",
    "transformers",
)
_MOST = (1 << 31) - 1
_DAY = 86_400_000


class Mapping(NamedTuple):
    """A parsed mapping.

    Attributes:
        priority: mappings with smaller numbers are tried first.
        origin: the file and the position in it; empty for a mapping that was added over the admin API.
        source: the JSON object from which the mapping was parsed.
    """

    id: str
    name: str
    priority: int
    pattern: Pattern
    response: Response
    origin: str
    source: Object[str, object]

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.name or self.origin or self.id

    def described(self) -> dict[str, object]:
        """Return the mapping in WireMock's format."""
        return {"id": self.id, **self.source, "uuid": self.id}


class Store:
    """The active mappings, for any number of threads.

    Args:
        loaded: the initial mappings; among mappings of equal priority, later ones are tried first.
    """

    def __init__(self, loaded: Iterable[Mapping] = ()) -> None:
        self._loaded = self._mappings = _ranked(tuple(loaded)[::-1])
        self._lock = threading.Lock()

    def all(self) -> tuple[Mapping, ...]:
        """Return all mappings in the order in which they are tried."""
        return self._mappings

    def find(self, request: Request) -> Mapping | None:
        """Return the mapping that matches a request; None if there is none.

        Raises:
            TooLong: a regular expression has exceeded its time limit.
        """
        return next((mapping for mapping in self._mappings if mapping.pattern.matches(request)), None)

    def get(self, identity: str) -> Mapping | None:
        """Return the mapping with an id; None if there is none."""
        return next((mapping for mapping in self._mappings if mapping.id == identity), None)

    def add(self, mapping: Mapping) -> None:
        """Add a mapping, which is tried before the others of its priority.

        Raises:
            Refusal: another mapping has the same id.
        """
        with self._lock:
            if self.get(mapping.id):
                raise Refusal(f"id {mapping.id!r} is taken by another mapping")
            self._mappings = _ranked((mapping, *self._mappings))

    def remove(self, identity: str) -> bool:
        """Remove the mapping with an id; return whether there was one."""
        with self._lock:
            before = self._mappings
            self._mappings = tuple(mapping for mapping in before if mapping.id != identity)
            return len(self._mappings) < len(before)

    def clear(self) -> None:
        """Remove all mappings."""
        with self._lock:
            self._mappings = ()

    def reset(self) -> None:
        """Restore the initial mappings."""
        with self._lock:
            self._mappings = self._loaded


def _ranked(newest_first: tuple[Mapping, ...]) -> tuple[Mapping, ...]:
    return tuple(sorted(newest_first, key=lambda mapping: mapping.priority))


def parse_mapping(value: object, origin: str, read_file: ReadFile) -> Mapping:
    """Parse a mapping.

    Args:
        value: the JSON of the mapping.
        origin: its file and the position in it, for messages.
        read_file: returns the content of the file that `bodyFileName` names.

    Raises:
        Refusal: with all mistakes in the mapping.
    """
    spec = as_settings(value)
    problems = Problems(key_problems(_without(spec, _WITHOUT_EFFECT), _KNOWN, _UNSUPPORTED))
    identity, name, priority, pattern, response = "", "", DEFAULT_PRIORITY, Pattern(), Response(200)
    with problems.at("id"):
        identity = _identity(spec.get("id", spec.get("uuid")))
    with problems.at("name"):
        name = as_text(spec.get("name", ""))
    with problems.at("priority"):
        priority = as_whole_number(spec.get("priority", DEFAULT_PRIORITY), -_MOST, _MOST)
    with problems.at("request"):
        pattern = parse_pattern(spec.get("request"))
    with problems.at("response"):
        response = _response(spec.get("response"), read_file)
    problems.settle()
    response.headers = (*response.headers, ("Matched-Stub-Id", identity))
    return Mapping(identity, name, priority, pattern, response, origin, {**spec, "id": identity})


def _without(spec: dict[str, object], keys: Iterable[str]) -> dict[str, object]:
    return {key: value for key, value in spec.items() if key not in keys}


def _identity(value: object) -> str:
    if value is None:
        return str(uuid.uuid4())
    text = as_text(value)
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Refusal(f"{text!r} is not a UUID; a name may be any text") from None


def _response(value: object, read_file: ReadFile) -> Response:
    spec = _without(as_settings(value), ["fromConfiguredStub"])
    problems = Problems(key_problems(spec, _RESPONSE_KNOWN, _RESPONSE_UNSUPPORTED, _BODIES))
    response = Response(200)
    with problems.at("status"):
        response.status = as_whole_number(spec.get("status", 200), 200, 999)
    with problems.at("statusMessage"):
        response.reason = _header_text(spec.get("statusMessage", ""))
    with problems.at("fixedDelayMilliseconds"):
        response.delay = as_whole_number(spec.get("fixedDelayMilliseconds", 0), 0, _DAY) / 1000
    with problems.at("headers"):
        response.headers = _headers(spec.get("headers", {}))
    for key in spec.keys() & set(_BODIES):
        with problems.at(key):
            response.body = _body(key, spec[key], read_file)
    problems.settle()
    return response


def _headers(value: object) -> Headers:
    problems = Problems()
    pairs: list[tuple[str, str]] = []
    for name, given in as_object(value).items():
        with problems.at(name):
            values = given if isinstance(given, list) else [given]
            pairs += [(_header_name(name), _header_text(text)) for text in values]
    problems.settle()
    return tuple(pairs)


def _header_name(name: str) -> str:
    if not name or set(name) & set('()<>@,;:\\"/[]?={} \t') or not (name.isascii() and name.isprintable()):
        raise Refusal("is not a name that a header can have")
    return name


def _header_text(value: object) -> str:
    text = as_text(value)
    if any(ord(letter) > 255 or (ord(letter) < 32 and letter != "\t") for letter in text):
        raise Refusal("contains a character that is not allowed in a header")
    return text


def _body(key: str, value: object, read_file: ReadFile) -> bytes:
    if key == "jsonBody":
        return write_json(value).encode("utf-8", "surrogatepass")
    text = as_text(value)
    if key == "body":
        return text.encode("utf-8", "surrogatepass")
    if key == "bodyFileName":
        return read_file(text)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(f"not valid base64: {error}") from None
