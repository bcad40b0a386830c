"""Remove the DEFINER clauses of views, triggers and routines from a dump of mariadb-dump; leave string literals and comments unchanged.

The dump is read as a stream: neither a string literal of a gigabyte nor a dump without line breaks is ever held in memory as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

HELD = 1000
"""The number of bytes at the end of a piece that are read again with the next piece: more than the longest DEFINER clause."""
_ACCOUNT = rb"(?:`(?:[^`]|``)*+`|'[^']*'|\w++)"
_DEFINER = rb"DEFINER\s*=\s*" + _ACCOUNT + rb"(?:\s*@\s*" + _ACCOUNT + rb"|\s*\(\s*\)|(?!\s*@))"
"""A DEFINER clause. `CURRENT_USER()` has no host; an account without a host is a role, or matches every host."""
_NEXT = re.compile(rb"(?P<definer>" + _DEFINER + rb""")|(?P<opens>['"`#]|--(?=\s)|/\*(?!M?!))""")
"""The next DEFINER clause, or the start of a quoted string or comment. `/*!` and `/*M!` start no comment: the server runs their content."""
_QUOTED = {b"'": rb"[^'\\]*+(?:\\.[^'\\]*+)*+", b'"': rb'[^"\\]*+(?:\\.[^"\\]*+)*+', b"`": rb"[^`]*+"}
_WHOLE = re.compile(rb"""(?:[^'"`#/D-]++|""" + b"|".join(quote + body + quote for quote, body in _QUOTED.items()) + rb")*+", re.DOTALL)
"""Complete quoted strings and text without special characters, skipped in one match because rows of data are long."""
_WITHIN: dict[bytes, tuple[re.Pattern[bytes], bytes]] = {
    **{quote: (re.compile(body, re.DOTALL), quote) for quote, body in _QUOTED.items()},
    **dict.fromkeys([b"#", b"--"], (re.compile(rb"[^\n]*+"), b"\n")),
    b"/*": (re.compile(rb"[^*]*+(?:\*(?!/|\Z)[^*]*+)*+"), b"*/"),
}
"""By the token that opens a quoted string or comment: the pattern of the bytes inside, and the closing token."""


def without_definers(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *content* without its DEFINER clauses; the pieces have other lengths."""
    rest = opened = b""
    for piece in chain(content, [b""]):
        text = rest + piece
        kept, at, opened = _read(text, opened, len(text) - HELD if piece else len(text))
        rest = text[at:]
        yield b"".join(kept)
    yield rest


def _read(text: bytes, opened: bytes, limit: int) -> tuple[list[bytes], int, bytes]:
    """Return the parts of *text* to keep, the position up to which it was read, and the token of a string or comment still open there.

    Args:
        limit: The position from which on a token may be incomplete; such a token is left for the next call.
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
