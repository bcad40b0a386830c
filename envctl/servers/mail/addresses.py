"""Lists of addresses in a header, read as leniently as MailDev reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .words import SPACE, decode_words

_CLOSING = {'"': '"', "(": ")", "<": ">", ",": "", ":": ";", ";": ""}
_WHOLE = re.compile(r"[^@\s]+@[^@\s]+")
_INSIDE = re.compile(r"\s*\b[^@\s]+@\S+\b\s*", re.ASCII)
_STATES = {"<": "address", "(": "comment", ":": "group"}


@dataclass
class _Token:
    value: str
    operator: bool = False


def parse_addresses(text: str) -> list[dict[str, Any]]:
    """Every address with its name; a group has its members."""
    found = _parse(text)
    for address in [*found, *(member for group in found for member in group.get("group", ()))]:
        address["name"] = decode_words(address["name"])
    return found


def _parse(text: str) -> list[dict[str, Any]]:
    groups: list[list[_Token]] = [[]]
    for token in _tokens(text):
        if token.operator and token.value in (",", ";"):
            groups.append([])
        else:
            groups[-1].append(token)
    return [_address(tokens) for tokens in groups if tokens]


def _tokens(text: str) -> Iterator[_Token]:
    for token in _raw_tokens(text):
        token.value = token.value.strip(SPACE)
        if token.value:
            yield token


def _raw_tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    expected, escaped, fresh = "", False, True
    for letter in text:
        operator = not escaped and (letter == expected if expected else letter in _CLOSING)
        if operator:
            expected = "" if expected else _CLOSING[letter]
            tokens.append(_Token(letter, True))
            fresh = True
        elif letter == "\\" and not escaped:
            escaped = True
        else:
            if fresh:
                tokens.append(_Token(""))
            tokens[-1].value += letter if not escaped or letter in _CLOSING or letter == "\\" else f"\\{letter}"
            escaped = fresh = False
    return tokens


def _address(tokens: list[_Token]) -> dict[str, Any]:
    parts: dict[str, list[str]] = {"address": [], "comment": [], "group": [], "text": []}
    state, is_group = "text", False
    for token in tokens:
        if token.operator:
            state = _STATES.get(token.value, "text")
            is_group = is_group or state == "group"
        else:
            # A name with a "<" in it ends there.
            parts[state].append(re.sub(r"^[^<]*<\s*", "", token.value) if state == "address" else token.value)
    if not parts["text"]:
        parts["text"], parts["comment"] = parts["comment"], []
    if is_group:
        return {"name": " ".join(parts["text"]), "group": _parse(",".join(parts["group"])) if parts["group"] else []}
    return _single(parts["address"], parts["text"], parts["comment"])


def _single(addresses: list[str], texts: list[str], comments: list[str]) -> dict[str, Any]:
    if not addresses:
        addresses = _taken_out(texts)
    texts = (texts or comments) + addresses[1:]
    address, name = " ".join(addresses[:1]), " ".join(texts)
    address, name = address or name, name or address
    if address == name:
        return {"address": address, "name": ""} if "@" in address else {"address": "", "name": name}
    return {"address": address, "name": name}


def _taken_out(texts: list[str]) -> list[str]:
    """An address that stands in a text without angle brackets, which loses it."""
    for position in reversed(range(len(texts))):
        if _WHOLE.fullmatch(texts[position]):
            return [texts.pop(position)]
    for position in reversed(range(len(texts))):
        if found := _INSIDE.search(texts[position]):
            texts[position] = f"{texts[position][: found.start()]} {texts[position][found.end() :]}".strip(SPACE)
            return [found[0].strip(SPACE)]
    return []
