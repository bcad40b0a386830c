"""Mailpit's search: words and quoted phrases, all of which must be found; `-` or `!` before one excludes."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Sequence

from .message import Message

Test = Callable[[Message], bool]

_ADDRESSES = {"to": "To", "from": "From", "cc": "Cc", "bcc": "Bcc", "reply-to": "ReplyTo"}
_STATES: dict[str, Test] = {
    "is:read": lambda message: message.read,
    "is:unread": lambda message: not message.read,
    "has:attachment": lambda message: bool(message.attachments),
    "has:attachments": lambda message: bool(message.attachments),
}
_CAPITALS = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_EMPTY = re.compile(rf"[-!]?({'|'.join(_ADDRESSES)}|addressed|subject|message-id):")
"""A field that nothing is wanted of says nothing."""
_MISSING = re.compile(r"(after|before|larger|smaller|tag):.|(is:tagged|has:inlines?)$")


class Unsupported(Exception):
    """A filter that only Mailpit has; the text is the filter."""


def search(messages: Sequence[Message], query: str) -> list[Message]:
    """Those that the query finds.

    Raises:
        Unsupported: the query has a filter that is missing here.
    """
    tests = [_test(word) for word in _words(query) if not _EMPTY.fullmatch(word.lower())]
    return [message for message in messages if all(test(message) for test in tests)]


def _words(query: str) -> list[str]:
    """Split at blanks, but for those between quotes, which are taken away."""
    found = re.findall(r'(?:"[^"]*(?:"|$)|[^" ])+', query)
    return [word for each in found if _clean(word := each.replace('"', "").strip())]


def _test(word: str) -> Test:
    if len(word) > 1 and word[0] in "-!":
        positive = _positive(word[1:])
        return lambda message: not positive(message)
    return _positive(word)


def _positive(word: str) -> Test:
    lower = word.lower()
    if _MISSING.match(lower):
        raise Unsupported(lower)
    if lower in _STATES:
        return _STATES[lower]
    key, colon, rest = lower.partition(":")
    wanted = _clean(rest)
    if colon and key in _ADDRESSES:
        return lambda message: wanted in _addresses(message, _ADDRESSES[key])
    if colon and key == "addressed":
        return lambda message: any(wanted in _addresses(message, each) for each in _ADDRESSES.values())
    if colon and key == "subject":
        return lambda message: _small(word[8:]) in _small(message.content["Subject"])
    if colon and key == "message-id":
        return lambda message: wanted in _small(message.content["MessageID"])
    return lambda message: _clean(word) in _clean(message.searched)


def _addresses(message: Message, key: str) -> str:
    """As JSON, which is where Mailpit looks."""
    return _small(json.dumps(message.content[key], ensure_ascii=False, separators=(",", ":")))


def _small(text: str) -> str:
    """As SQLite's LIKE compares: letters beyond ASCII keep their case."""
    return text.translate(_CAPITALS)


def _clean(text: str) -> str:
    """In small letters, without line ends and the signs of a list of addresses."""
    return " ".join(re.sub(r'[\n\t><",;()\ufeff]', " ", text).split()).lower()
