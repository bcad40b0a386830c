"""A message, with its descriptions in the format of Mailpit's API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from .mime import Content, Part, addresses_of, headers_of, parsed, text_of_html

_SNIPPET = 200
"""The longest snippet, in bytes of UTF-8."""
_SEARCHED = ("From", "Subject", "To", "Cc", "Bcc", "Reply-To", "Return-Path")


class Message:
    """A received message.

    Attributes:
        id: the id in the API.
        raw: the bytes of the message.
        created: the time at which it was received.
        username: the user that has sent it; empty without a login.
        read: whether a client has read it.
        headers: the values of each header, by its canonical name.
        content: its texts and files.
        facts: the addresses, the subject and the message id, in the format of the API.
        date: the date in the message, or else `created`.
        searched: the text that a search for words looks at.
    """

    def __init__(self, identity: str, raw: bytes, created: datetime, username: str) -> None:
        self.id, self.raw, self.created, self.username, self.read = identity, raw, created, username, False
        root = parsed(raw)
        self.headers, self.content, self.facts = headers_of(root), Content(root), _facts(root)
        self.date = _date(root) or created
        self._words = " ".join((text_of_html(self.content.html) or self.content.text).split())
        files = (part.name for part in self.content.attachments)
        self.searched = " ".join([*(str(root.get(name, "")) for name in _SEARCHED), self._words, *files])

    @property
    def recipients(self) -> list[str]:
        """The addresses in To, Cc and Bcc."""
        return [address["Address"] for key in ("To", "Cc", "Bcc") for address in self.facts[key]]

    @property
    def files(self) -> list[Part]:
        """The attachments and the inline files."""
        return [*self.content.attachments, *self.content.inline]

    def summary(self) -> dict[str, Any]:
        """Return the message as it appears in a list of the API. There, an empty To, Cc or Bcc is null."""
        return {
            **self._common(),
            **{key: self.facts[key] or None for key in ("To", "Cc", "Bcc")},
            "Read": self.read,
            "Created": _stamp(self.created),
            "Attachments": len(self.content.attachments),
            "Snippet": _snippet(self._words),
        }

    def document(self) -> dict[str, Any]:
        """Return the complete message as the API shows it, without the contents of its files."""
        path = self.headers.get("Return-Path", [""])[0].strip("<>")
        return {
            **self._common(),
            "ReturnPath": path or self.facts["From"]["Address"],
            "ListUnsubscribe": _unsubscribe(self.headers),
            "Date": _stamp(self.date),
            "Text": self.content.text,
            "HTML": self.content.html,
            "Inline": [part.document for part in self.content.inline if part.name or part.content_id],
            "Attachments": [part.document for part in self.content.attachments if part.name or part.content_id],
        }

    def _common(self) -> dict[str, Any]:
        return {"ID": self.id, **self.facts, "Tags": [], "Username": self.username, "Size": len(self.raw)}


def _facts(root: EmailMessage) -> dict[str, Any]:
    sender = [*addresses_of(root, "From"), {"Name": str(root.get("From", "")), "Address": ""}][0]
    lists = {key.replace("-", ""): addresses_of(root, key) for key in ("To", "Cc", "Bcc", "Reply-To")}
    return {"MessageID": str(root.get("Message-ID", "")).strip("<>"), "From": sender, **lists, "Subject": str(root.get("Subject", ""))}


def _snippet(words: str) -> str:
    cut = words.encode("utf-8", "replace")[:_SNIPPET].decode("utf-8", "ignore")
    return words if cut == words else f"{cut}..."


def _unsubscribe(headers: dict[str, list[str]]) -> dict[str, Any]:
    header = headers.get("List-Unsubscribe", [""])[0]
    post = headers.get("List-Unsubscribe-Post", [""])[0] if header else ""
    return {"Header": header, "Links": re.findall(r"<((?:mailto:|https?://)[^<>\s]+)>", header), "Errors": "", "HeaderPost": post}


def _date(root: EmailMessage) -> datetime | None:
    found: datetime | None = getattr(root["Date"], "datetime", None)
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
