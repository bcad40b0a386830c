"""A header's value with parameters after it, those of RFC 2231 among them."""

from __future__ import annotations

import re

from .words import SPACE, replace_words

_CONTINUED = re.compile(r"(.*?)\*(?:(\d{1,9})\*?)?")
_ENCODED = re.compile(r"([^']*)'[^']*'(.*)", re.DOTALL)


def parse_parameters(text: str) -> tuple[str, dict[str, str]]:
    """The value and its parameters; an encoded one comes as an encoded word."""
    pieces = _pieces(text)
    given: dict[str, str] = {}
    for piece, equals in pieces[1:]:
        name = piece[:equals] if equals >= 0 else piece
        if equals >= 0 or name.strip(SPACE):
            given[name.strip(SPACE).lower()] = piece[equals + 1 :].strip(SPACE) if equals >= 0 else ""
    return pieces[0][0].strip(SPACE), _joined(given)


def file_name_in(parameters: dict[str, str]) -> str:
    """The name of the file that a part is to be saved as."""
    return replace_words(parameters.get("name") or parameters.get("filename") or "")


def _pieces(text: str) -> list[tuple[str, int]]:
    """What stands between the semicolons, unquoted, and where its equals sign is; -1 where it has none."""
    pieces: list[tuple[str, int]] = []
    piece, equals, quoted, escaped = "", -1, False, False
    for letter in text:
        in_name = bool(pieces) and equals < 0
        if in_name:
            equals = len(piece) if letter == "=" else -1
            piece += letter
        elif escaped:
            piece, escaped = piece + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == ";" and not quoted:
            pieces.append((piece, equals))
            piece, equals = "", -1
        else:
            piece += letter
    return [*pieces, (piece, equals)]


def _joined(given: dict[str, str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    split: dict[str, dict[int, str]] = {}
    charsets: dict[str, str] = {}
    for key, value in given.items():
        found = _CONTINUED.fullmatch(key)
        if not found:
            parameters[key] = value
            continue
        name, number = found[1], int(found[2] or 0)
        encoded = _ENCODED.fullmatch(value) if number == 0 and key.endswith("*") else None
        if encoded:
            charsets[name] = encoded[1] or "iso-8859-1"
        split.setdefault(name, {})[number] = encoded[2] if encoded else value
    for name, values in split.items():
        text = "".join(values[number] for number in sorted(values))
        parameters[name] = _word(text, charsets[name]) if name in charsets else text
    return parameters


def _word(text: str, charset: str) -> str:
    safe = re.sub(rf"[=?_{SPACE}]", lambda found: "_" if found[0] == " " else f"%{ord(found[0]):02x}", text)
    return f"=?{charset}?Q?{safe.replace('%', '=')}?="
