"""Mailpit's search: a query has words and quoted phrases, which must all match; `-` or `!` in front of one excludes matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from .message import Message

Test = Callable[[Message], bool]
"""Returns whether a message matches one word of a query."""


def _people(key: str, message: Message) -> str:
    found = message.facts[key]
    return " ".join(f"{one['Name']} {one['Address']}" for one in (found if isinstance(found, list) else [found]))


_ADDRESSES = {"to": "To", "from": "From", "cc": "Cc", "bcc": "Bcc", "reply-to": "ReplyTo"}
_FIELDS: dict[str, Callable[[Message], str]] = {
    **{name: partial(_people, key) for name, key in _ADDRESSES.items()},
    "addressed": lambda message: " ".join(_people(key, message) for key in _ADDRESSES.values()),
    "subject": lambda message: str(message.facts["Subject"]),
    "message-id": lambda message: str(message.facts["MessageID"]),
}
_STATES: dict[str, Test] = {
    "is:read": lambda message: message.read,
    "is:unread": lambda message: not message.read,
    **dict.fromkeys(("has:attachment", "has:attachments"), lambda message: bool(message.content.attachments)),
}
_MISSING = re.compile(r"(after|before|larger|smaller|tag):.|(is:tagged|has:inlines?)$")


class Unsupported(Exception):
    """The query has a filter that only Mailpit supports; the text is the filter."""


def search(messages: Sequence[Message], query: str) -> list[Message]:
    """Return the messages that match a query.

    Raises:
        Unsupported: the query has a filter that is not supported.
    """
    # Quoted phrases may contain blanks, so `split` does not suffice.
    words = [found.replace('"', "").strip() for found in re.findall(r'(?:"[^"]*(?:"|$)|[^" ])+', query)]
    tests = [test for word in words if (test := _test(word.lower()))]
    return [message for message in messages if all(test(message) for test in tests)]


def _test(word: str) -> Test | None:
    """Return the test for a word of a query; None for a word without content, which is ignored."""
    if len(word) > 1 and word[0] in "-!":
        positive = _test(word[1:])
        return positive and (lambda message: not positive(message))
    if _MISSING.match(word):
        raise Unsupported(word)
    if word in _STATES:
        return _STATES[word]
    name, colon, rest = word.partition(":")
    field = _FIELDS.get(name) if colon else None
    wanted = _clean(rest if field else word)
    return (lambda message: wanted in _clean(field(message) if field else message.searched)) if wanted else None


def _clean(text: str) -> str:
    """Return text in lower case, without line ends and the punctuation of address lists."""
    return " ".join(re.sub(r'[\n\t><",;()\ufeff]', " ", text).split()).lower()
