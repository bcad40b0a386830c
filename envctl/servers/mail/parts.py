"""A message -> its text, its HTML and its files. Which part is what is decided as in enmime, the parser that Mailpit uses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, NamedTuple

from .headers import decoded
from .markup import as_lines

_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Part:
    """One part that is no container."""

    id: str
    kind: str
    disposition: str
    name: str
    content_id: str
    content: bytes
    depth: int

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def document(self) -> dict[str, Any]:
        sums = {name: hashlib.new(name, self.content).hexdigest() for name in ("md5", "sha1", "sha256")}
        return {
            "PartID": self.id,
            "FileName": self.name or self.content_id,
            "ContentType": self.kind,
            "ContentID": self.content_id,
            "Size": len(self.content),
            "Checksums": {name.upper(): value for name, value in sums.items()},
        }


class Sorted(NamedTuple):
    """What a message holds; `inline` are other parts without a disposition, too."""

    text: str
    html: str
    inline: list[Part]
    attachments: list[Part]


def sorted_parts(message: Message) -> Sorted:
    """The parts of a message, each where it belongs; text is made of HTML where there is none."""
    parts = list(_parts(message))
    if message.get_content_maintype() != "multipart":
        return _alone(parts[0])
    text, html = _bodies(message.get_content_subtype(), parts)
    outer = sorted(parts, key=lambda part: part.depth)
    attachments = [part for part in outer if part.disposition == "attachment" or part.kind == _OCTETS]
    inline = [part for part in outer if part.disposition == "inline"]
    others = [part for part in outer if not part.disposition and part.kind not in (_OCTETS, "text/plain", "text/html")]
    return Sorted(text or as_lines(html), html, [*inline, *others], attachments)


def _alone(only: Part) -> Sorted:
    if only.disposition == "attachment" or only.kind not in ("text/plain", "text/html"):
        return Sorted("", "", [only], []) if only.disposition == "inline" else Sorted("", "", [], [only])
    if only.kind == "text/html":
        return Sorted(as_lines(only.text), only.text, [], [])
    return Sorted(only.text, "", [], [])


def _bodies(subtype: str, parts: Sequence[Part]) -> tuple[str, str]:
    shown = [part for part in parts if part.disposition != "attachment"]
    texts = [part for part in shown if part.kind == "text/plain"]
    if subtype == "alternative":
        texts = sorted(texts, key=lambda part: part.depth)[:1]
    html = next((part.text for part in shown if part.kind == "text/html"), "")
    return "\n--\n".join(part.text for part in texts), html


def _parts(part: Message, number: str = "0", depth: int = 0) -> Iterator[Part]:
    """Numbered as in enmime: `1`, `2`, `2.1`; `0` where there is only one."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        prefix = "" if number == "0" else f"{number}."
        for index, inner in enumerate(_inner(part), 1):
            yield from _parts(inner, f"{prefix}{index}", depth + 1)
        return
    content_id = str(part.get("Content-ID", "")).strip("<>")
    kind, disposition = part.get_content_type(), part.get_content_disposition() or ""
    yield Part(number, kind, disposition, decoded(part.get_filename() or ""), content_id, _bytes(part), depth)


def _inner(part: Message) -> Iterator[Message]:
    return (each for each in part.get_payload() if isinstance(each, Message))


def _bytes(part: Message) -> bytes:
    """The content; that of texts in UTF-8."""
    if part.is_multipart():
        return b"".join(inner.as_bytes(policy=part.policy.clone(linesep="\r\n")) for inner in _inner(part))
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or part.get_content_maintype() != "text":
        return content if isinstance(content, bytes) else b""
    try:
        return content.decode(_charset(part), "replace").encode()
    except LookupError:
        return content


def _charset(part: Message) -> str:
    found = part.get_content_charset("utf-8" if "Content-Type" in part else "us-ascii")
    return "cp1252" if found in ("us-ascii", "ascii") else found
