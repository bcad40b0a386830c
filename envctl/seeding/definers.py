"""A dump of mariadb-dump without the words that name who made a view, a trigger or a routine; texts and comments stay as they are.

It is read as a stream: neither a text of a gigabyte nor a dump without line breaks is ever held as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

HELD = 1000
"""Bytes at the end of a piece that wait for the next one: more than the longest DEFINER has."""
_ACCOUNT = rb"(?:`(?:[^`]|``)*+`|'[^']*'|\w++)"
_DEFINER = rb"DEFINER\s*=\s*" + _ACCOUNT + rb"(?:\s*@\s*" + _ACCOUNT + rb"|\s*\(\s*\)|(?!\s*@))"
"""`CURRENT_USER()` has no host; an account without one is a role, or anybody's of that name."""
_NEXT = re.compile(rb"(?P<definer>" + _DEFINER + rb""")|(?P<opens>['"`#]|--(?=\s)|/\*(?!M?!))""")
"""`/*!` and `/*M!` begin no comment, but what this server is to run."""
_QUOTED = {b"'": rb"[^'\\]*+(?:\\.[^'\\]*+)*+", b'"': rb'[^"\\]*+(?:\\.[^"\\]*+)*+', b"`": rb"[^`]*+"}
_WHOLE = re.compile(rb"""(?:[^'"`#/D-]++|""" + b"|".join(quote + body + quote for quote, body in _QUOTED.items()) + rb")*+", re.DOTALL)
"""Whole texts, and what begins nothing: passed over at once, as rows of data are long."""
_WITHIN: dict[bytes, tuple[re.Pattern[bytes], bytes]] = {
    **{quote: (re.compile(body, re.DOTALL), quote) for quote, body in _QUOTED.items()},
    **dict.fromkeys([b"#", b"--"], (re.compile(rb"[^\n]*+"), b"\n")),
    b"/*": (re.compile(rb"[^*]*+(?:\*(?!/|\Z)[^*]*+)*+"), b"*/"),
}
"""What opens a text or a comment; its bytes, as far as they are there and whole, and what closes it."""


def without_definers(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, in other lengths."""
    rest = opened = b""
    for piece in chain(content, [b""]):
        text = rest + piece
        kept, at, opened = _read(text, opened, len(text) - HELD if piece else len(text))
        rest = text[at:]
        yield b"".join(kept)
    yield rest


def _read(text: bytes, opened: bytes, limit: int) -> tuple[list[bytes], int, bytes]:
    """What is kept of *text*, how far that was read, and the text or comment that is open there.

    Args:
        limit: what begins here or later is left to the next time, as it may not be whole.
    """
    kept: list[bytes] = []
    at = 0
    while True:
        if opened:
            body, closing = _WITHIN[opened]
            found = body.match(text, at)
            end = found.end() if found else at
            if not text.startswith(closing, end):
                return [*kept, text[at:end]], end, opened
            end += len(closing)
            kept.append(text[at:end])
            at, opened = end, b""
        passed = _WHOLE.match(text, at)
        found = _NEXT.search(text, begun := passed.end() if passed else at)
        if found is None or found.start() >= limit:
            end = max(begun, limit)
            return [*kept, text[at:end]], end, b""
        kept.append(text[at : found.start()] if found["definer"] else text[at : found.end()])
        at, opened = found.end(), found["opens"] or b""
