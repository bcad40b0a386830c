"""A stream that converts XML of any encoding to UTF-8, and replaces bytes and characters that XML does not allow.

A single such character in the output of a test would make the parser lose all later tests.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

DECLARATION = re.compile(r"\s*<\?xml\s[^>]*\?>")
ENCODING = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
BEGINNINGS = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
"""The first bytes of files without a byte order mark."""
FOREIGN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
COLOUR = re.compile(r"(?:\x1b|&#(?:27|x1[Bb]);)\[[0-9;]{0,20}m")
TAIL = 40
"""The number of characters at the end of a piece that may contain the first part of a reference or a colour."""
INSTEAD = "\ufffd"
PLAIN = bytes(range(32, 127))


class XmlText:
    """A stream of bytes as UTF-8 without an XML declaration. U+FFFD replaces characters that XML does not allow. Line numbers stay."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._rest = stream, ""
        self._decoder: codecs.IncrementalDecoder | None = None

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            LookupError: the encoding is unknown.
        """
        while piece := self._stream.read(size):
            if found := self._cleaned(self._decoded(piece)):
                return found.encode()
        rest = self._cleaned(self._decoder.decode(b"", True), last=True) if self._decoder is not None else ""
        return rest.encode()

    def _decoded(self, piece: bytes) -> str:
        if self._decoder is not None:
            return self._decoder.decode(piece)
        name, mark = _encoding(piece)
        self._decoder = codecs.getincrementaldecoder(name)("replace")
        text = self._decoder.decode(piece[mark:])
        # The declaration of the encoding is no longer true. Its line breaks stay, so that line numbers do not change.
        return DECLARATION.sub(lambda match: "\n" * match.group().count("\n"), text, count=1) if DECLARATION.match(text) else text

    def _cleaned(self, text: str, last: bool = False) -> str:
        text, self._rest = self._rest + text, ""
        at = max(text.rfind("&", -TAIL), text.rfind("\x1b", -TAIL))
        if at >= 0 and not last:
            text, self._rest = text[:at], text[at:]
        if "&#" in text or "\x1b" in text:
            text = REFERENCE.sub(_reference, COLOUR.sub("", text))
        return FOREIGN.sub(INSTEAD, text)


def _encoding(piece: bytes) -> tuple[str, int]:
    """Return the encoding of a file that begins with *piece*, and the number of bytes of its byte order mark.

    Raises:
        LookupError: the encoding is unknown, or is not compatible with ASCII.
    """
    for mark, name in MARKS:
        if piece.startswith(mark):
            return name, len(mark)
    for beginning, name in BEGINNINGS:
        if piece.startswith(beginning):
            return name, 0
    told = ENCODING.match(piece)
    name = told[1].decode().lower() if told else "utf-8"
    if name.startswith(("utf-16", "utf16", "ucs-2")):  # .NET declares this in files that it writes as UTF-8
        return "utf-8", 0
    try:
        known = PLAIN.decode(name) == PLAIN.decode()
    except (LookupError, ValueError):
        known = False
    if not known:
        raise LookupError(f"unknown encoding: {name}")
    return name, 0


def _reference(match: re.Match[str]) -> str:
    number = int(match[1], 16) if match[1] else int(match[2])
    good = number in (9, 10, 13) or 0x20 <= number < 0xD800 or 0xE000 <= number < 0xFFFE or 0x10000 <= number < 0x110000
    return match.group() if good else INSTEAD
