"""Headers as text: unfolded, UTF-8 or not, encoded words decoded."""

from __future__ import annotations

import binascii
import re
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.quoprimime import header_decode
from email.utils import getaddresses

Address = dict[str, str]

_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")


class _Policy(Compat32):
    """Bytes beyond ASCII are UTF-8; a folded line goes on after one blank."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return re.sub(r"\s*\r?\n\s*", " ", text).strip()


def parsed(raw: bytes) -> Message:
    """The message in its parts; whatever is wrong with it, there is one."""
    return BytesParser(policy=_Policy()).parsebytes(raw)


def decoded(text: str) -> str:
    """With its encoded words as what they say; as it is where one of them cannot be decoded."""
    try:
        return _WORD.sub(_word, _BETWEEN_WORDS.sub(r"\1", text))
    except (LookupError, ValueError):
        return text


def _word(found: re.Match[str]) -> str:
    charset, encoding, text = found.groups()
    if encoding in "bB":
        content = binascii.a2b_base64(text.encode("ascii", "replace") + b"==")
    else:
        content = header_decode(text).encode("latin-1", "replace")
    return content.decode(charset.partition("*")[0], "replace")


def text_of(message: Message, name: str) -> str:
    """A header, decoded; empty where there is none."""
    return decoded(str(message.get(name, "")))


def addresses_of(message: Message, name: str) -> list[Address]:
    """The addresses of a header; none where one of them is no address."""
    pairs = getaddresses([str(message.get(name, ""))])
    found = [{"Name": decoded(name), "Address": address} for name, address in pairs if name or address]
    return found if all("@" in address["Address"] for address in found) else []


def all_of(message: Message) -> dict[str, list[str]]:
    """Every header by its canonical name, as it was sent but for the folding."""
    found: dict[str, list[str]] = {}
    for name, value in message.items():
        found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(str(value))
    return dict(sorted(found.items()))
