"""A message as Mailpit's API describes it."""

from __future__ import annotations

import email.message
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from .headers import addresses_of, all_of, parsed, text_of
from .markup import as_words
from .parts import Part, sorted_parts

SNIPPET = 200
_SEARCHED = ("From", "Subject", "To", "Cc", "Bcc", "Reply-To", "Return-Path")


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
        self.text, self.html, self.inline, self.attachments = sorted_parts(root)
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
        """As it stands in a list: nobody in To, Cc or Bcc is null there."""
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
