"""Character sets, quoted-printable, base64 and encoded words, with the tolerance of MailDev's parser."""

from __future__ import annotations

import base64
import codecs
import re

# What JavaScript takes for white space in text that was read byte by byte; Python's own idea includes \x85, a part of "Å".
SPACE = "\t\n\x0b\x0c\r \xa0"

_WORD = re.compile(r"=\?([^?]+)\?([QqBb])\?([^?]*)\?=")
_CHARSET = re.compile(r"[A-Za-z0-9_*-]+")
_BETWEEN = re.compile(rf"(?<=\?=)[{SPACE}]+(?==\?[^?]+\?[QqBb]\?[^?]*\?=)")
_CONTINUED = [
    re.compile(rf"(=\?([^?]+)\?{kind}\?{text}*)\?=[{SPACE}]*=\?\2\?{kind}\?", re.IGNORECASE)
    for kind, text in (("b", "[^?=]"), ("q", "[^?]"))
]


def decode(content: bytes, charset: str) -> str:
    """Text in a character set; an unknown one is Latin-1, and Latin-1 is Windows-1252, as on the web."""
    try:
        name = codecs.lookup(charset.strip()).name
        return content.decode("cp1252" if name in ("ascii", "iso8859-1") else name, "replace")
    except (LookupError, ValueError):
        return content.decode("latin-1")


def from_base64(text: str) -> bytes:
    """The bytes up to the first padding, whatever else stands between the letters."""
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return base64.b64decode(letters + "=" * (-len(letters) % 4))


def from_quoted_printable(text: str) -> bytes:
    """The bytes of quoted-printable text whose characters are bytes."""
    joined = re.sub(r"=(?:\r?\n|\Z)", "", re.sub(r"[\t ]+(?=[\r\n]|\Z)", "", text))
    return re.sub(r"=([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), joined).encode("latin-1", "replace")


def replace_words(value: str) -> str:
    """A header's value with its encoded words decoded, each by itself."""
    return _WORD.sub(lambda word: _decoded(re.sub(rf"[{SPACE}]", "", word[0])), _BETWEEN.sub("", value))


def decode_words(value: str) -> str:
    """A name with its encoded words decoded; a letter may go over the end of a word into the next one."""
    for pattern in _CONTINUED:
        while (joined := pattern.sub(r"\1", value)) != value:
            value = joined
    return _WORD.sub(lambda word: _decoded(word[0]), _BETWEEN.sub("", value))


def _decoded(word: str) -> str:
    found = _WORD.fullmatch(word)
    if not found or not _CHARSET.fullmatch(found[1]):
        return word
    charset = found[1].partition("*")[0]
    if found[2] in "bB":
        return decode(from_base64(found[3]), charset)
    return decode(from_quoted_printable(re.sub(r" \Z", "=20", found[3].replace("_", " "))), charset)
