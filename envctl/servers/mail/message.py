"""A message as Mailpit's API describes it. Which part is what is decided as in enmime, the parser that Mailpit uses."""

from __future__ import annotations

import email.message
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from .headers import addresses_of, all_of, decoded, parsed, text_of
from .markup import as_lines, as_words

SNIPPET = 200
_OCTETS = "application/octet-stream"
_SEARCHED = ("From", "Subject", "To", "Cc", "Bcc", "Reply-To", "Return-Path")


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


@dataclass
class Message:
    """A message that was received, and whether somebody has read it."""

    id: str
    raw: bytes
    created: datetime
    username: str
    read: bool = False
    headers: dict[str, list[str]] = field(init=False)
    content: dict[str, Any] = field(init=False)
    """What its description says of its content."""
    text: str = field(init=False)
    html: str = field(init=False)
    inline: list[Part] = field(init=False)
    attachments: list[Part] = field(init=False)
    searched: str = field(init=False)

    def __post_init__(self) -> None:
        root = parsed(self.raw)
        self.headers = all_of(root)
        self.text, self.html, self.inline, self.attachments = _sorted(root, list(_parts(root)))
        self.content = _content(root)
        self.date = _date(root) or self.created
        words = as_words(self.html, " {} ") if self.html else self.text
        names = [part.name for part in self.attachments]
        self.searched = " ".join([*(text_of(root, name) for name in _SEARCHED), words, *names])

    @property
    def recipients(self) -> list[str]:
        """Everybody it went to."""
        return [address["Address"] for key in ("To", "Cc", "Bcc") for address in self.content[key]]

    def part(self, identity: str) -> Part | None:
        return next((part for part in [*self.inline, *self.attachments] if part.id == identity), None)

    def summary(self) -> dict[str, Any]:
        """As it stands in a list, where no addresses are null (but for Reply-To)."""
        lists = {key: self.content[key] or None for key in ("To", "Cc", "Bcc")}
        return {
            "ID": self.id,
            "MessageID": self.content["MessageID"],
            "Read": self.read,
            "From": self.content["From"],
            **lists,
            "ReplyTo": self.content["ReplyTo"],
            "Subject": self.content["Subject"],
            "Created": _stamp(self.created),
            "Username": self.username,
            "Tags": [],
            "Size": len(self.raw),
            "Attachments": len(self.attachments),
            "Snippet": _snippet(self.text, self.html),
        }

    def document(self) -> dict[str, Any]:
        """All of it, but for the contents of its files."""
        path = self.headers.get("Return-Path", [""])[0].strip("<>")
        return {
            "ID": self.id,
            **self.content,
            "ReturnPath": path or self.content["From"]["Address"],
            "ListUnsubscribe": _unsubscribe(self.headers),
            "Date": _stamp(self.date),
            "Tags": [],
            "Username": self.username,
            "Text": self.text,
            "HTML": self.html,
            "Size": len(self.raw),
            "Inline": [part.document for part in self.inline if part.name or part.content_id],
            "Attachments": [part.document for part in self.attachments if part.name or part.content_id],
        }


def _content(root: email.message.Message) -> dict[str, Any]:
    sender = [*addresses_of(root, "From"), {"Name": text_of(root, "From"), "Address": ""}][0]
    lists = {key: addresses_of(root, name) for key, name in (("To", "To"), ("Cc", "Cc"), ("Bcc", "Bcc"), ("ReplyTo", "Reply-To"))}
    return {"MessageID": text_of(root, "Message-ID").strip("<>"), "From": sender, **lists, "Subject": text_of(root, "Subject")}


def _parts(part: email.message.Message, number: str = "0", depth: int = 0) -> Iterator[Part]:
    """Numbered as in enmime: `1`, `2`, `2.1`; `0` where there is only one."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        prefix = "" if number == "0" else f"{number}."
        for index, inner in enumerate(_inner(part), 1):
            yield from _parts(inner, f"{prefix}{index}", depth + 1)
        return
    content_id = str(part.get("Content-ID", "")).strip("<>")
    kind, disposition = part.get_content_type(), part.get_content_disposition() or ""
    yield Part(number, kind, disposition, decoded(part.get_filename() or ""), content_id, _bytes(part), depth)


def _inner(part: email.message.Message) -> Iterator[email.message.Message]:
    return (each for each in part.get_payload() if isinstance(each, email.message.Message))


def _bytes(part: email.message.Message) -> bytes:
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


def _charset(part: email.message.Message) -> str:
    found = part.get_content_charset("utf-8" if "Content-Type" in part else "us-ascii")
    return "cp1252" if found in ("us-ascii", "ascii") else found


def _sorted(root: email.message.Message, parts: Sequence[Part]) -> tuple[str, str, list[Part], list[Part]]:
    """Text, HTML, inline parts (and others that are neither), attachments."""
    if root.get_content_maintype() == "multipart":
        text, html = _bodies(root.get_content_subtype(), parts)
        outer = sorted(parts, key=lambda part: part.depth)
        attachments = [part for part in outer if part.disposition == "attachment" or part.kind == _OCTETS]
        inline = [part for part in outer if part.disposition == "inline"]
        others = [part for part in outer if not part.disposition and part.kind not in (_OCTETS, "text/plain", "text/html")]
        return text or as_lines(html), html, [*inline, *others], attachments
    (only,) = parts
    if only.disposition == "attachment" or only.kind not in ("text/plain", "text/html"):
        inline = [only] if only.disposition == "inline" else []
        return "", "", inline, [] if inline else [only]
    html = only.text if only.kind == "text/html" else ""
    return as_lines(html) if html else only.text, html, [], []


def _bodies(subtype: str, parts: Sequence[Part]) -> tuple[str, str]:
    shown = [part for part in parts if part.disposition != "attachment"]
    texts = [part for part in shown if part.kind == "text/plain"]
    if subtype == "alternative":
        texts = sorted(texts, key=lambda part: part.depth)[:1]
    html = next((part.text for part in shown if part.kind == "text/html"), "")
    return "\n--\n".join(part.text for part in texts), html


def _snippet(text: str, html: str) -> str:
    words = as_words(html) if html.strip() else re.sub(r"\s+", " ", text.replace("\ufeff", " ")).strip()
    cut = words.encode()[:SNIPPET].decode("utf-8", "ignore")
    return words if cut == words else f"{cut}..."


def _unsubscribe(headers: dict[str, list[str]]) -> dict[str, Any]:
    header = headers.get("List-Unsubscribe", [""])[0]
    links = [link for link in re.findall(r"<([^<>\s]*)>", header) if re.match(r"(mailto:|https?://)\w", link, re.IGNORECASE)]
    post = headers.get("List-Unsubscribe-Post", [""])[0] if header else ""
    return {"Header": header, "Links": links, "Errors": "", "HeaderPost": post}


def _date(root: email.message.Message) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(root.get("Date", "")))
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    """RFC 3339 as Go writes it: as few decimals as will do, and Z for UTC."""
    text, offset = moment.isoformat()[:-6], moment.isoformat()[-6:]
    whole, point, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}{point if decimals else ''}{decimals}{'Z' if offset == '+00:00' else offset}"
