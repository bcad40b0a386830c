"""The response that a mapping describes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable

from ..http.message import Headers, Response
from .refusal import Problems, Refusal, as_object, as_settings, as_text, as_whole_number, unknown

ReadFile = Callable[[str], bytes]

_BODIES = ("body", "jsonBody", "base64Body", "bodyFileName")
_KNOWN = ("status", "statusMessage", "headers", *_BODIES, "fixedDelayMilliseconds")
_WITHOUT_EFFECT = ("fromConfiguredStub",)
_UNSUPPORTED = (
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
_DAY = 86_400_000


def parse_response(value: object, read_file: ReadFile) -> Response:
    """The response that an object of a mapping describes; `read_file` fetches the file of a `bodyFileName`."""
    spec = as_settings(value)
    problems = Problems()
    _check_keys(spec, problems)
    status, reason, delay, body = 200, "", 0, b""
    headers: Headers = ()
    with problems.at("status"):
        status = as_whole_number(spec.get("status", 200), 200, 999)
    with problems.at("statusMessage"):
        reason = _header_text(spec.get("statusMessage", ""))
    with problems.at("fixedDelayMilliseconds"):
        delay = as_whole_number(spec.get("fixedDelayMilliseconds", 0), 0, _DAY)
    with problems.at("headers"):
        headers = _headers(spec.get("headers", {}))
    for key in spec.keys() & set(_BODIES):
        with problems.at(key):
            body = _BODY_PARSERS[key](spec[key], read_file)
    problems.settle()
    return Response(status, reason, headers, body, delay / 1000)


def _check_keys(spec: dict[str, object], problems: Problems) -> None:
    bodies = [key for key in _BODIES if key in spec]
    if len(bodies) > 1:
        problems.note(f"only one of {', '.join(bodies)} can hold")
    for key, value in spec.items():
        if key in _UNSUPPORTED and value:
            problems.note(f"{key!r} is not supported; supported: {', '.join(sorted(_KNOWN))}")
        elif key not in (*_KNOWN, *_WITHOUT_EFFECT, *_UNSUPPORTED):
            problems.note(unknown("key", key, _KNOWN))


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
        raise Refusal("holds a character that cannot stand in a header")
    return text


def _text_body(value: object, read_file: ReadFile) -> bytes:
    return as_text(value).encode("utf-8", "surrogatepass")


def _json_body(value: object, read_file: ReadFile) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _base64_body(value: object, read_file: ReadFile) -> bytes:
    try:
        return base64.b64decode(as_text(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(f"not valid base64: {error}") from None


def _file_body(value: object, read_file: ReadFile) -> bytes:
    return read_file(as_text(value))


_BODY_PARSERS: dict[str, Callable[[object, ReadFile], bytes]] = {
    "body": _text_body,
    "jsonBody": _json_body,
    "base64Body": _base64_body,
    "bodyFileName": _file_body,
}
