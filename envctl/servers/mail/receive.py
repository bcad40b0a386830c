"""A message as it was sent -> as it is kept: with the headers that Mailpit adds."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

from .headers import addresses_of, parsed

_ALPHABET = string.digits + string.ascii_letters
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")


class Unreadable(Exception):
    """Bytes that are no message."""


@dataclass(frozen=True)
class Sent:
    """What came over SMTP."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


def new_id() -> str:
    """22 letters and digits, as Mailpit's."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(22))


def kept(sent: Sent) -> bytes:
    """The bytes that are kept. Recipients that no header names are put into Bcc, so that searches find them.

    Raises:
        Unreadable: it begins with lines that are no headers.
    """
    raw = sent.content.replace(b"\r\r\n", b"\r\n")
    head = _split(raw)[0]
    if head[:1] in (b" ", b"\t") or not all(_HEADER.match(line) for line in head.split(b"\r\n") if line):
        raise Unreadable
    message = parsed(raw)
    if str(message.get("Return-Path", "")).strip("<>") != sent.sender:
        raw = _with(raw, "Return-Path", f"<{sent.sender}>")
    if not str(message.get("Message-ID", "")).strip("<>"):
        raw = f"Message-ID: <{new_id()}@mailpit>\r\n".encode() + raw
    named = {one["Address"].lower() for name in ("To", "Cc", "Bcc") for one in addresses_of(message, name)}
    missing = [recipient for recipient in sent.recipients if recipient.lower() not in named]
    return _with(raw, "Bcc", ", ".join([str(message["Bcc"])] * bool(message["Bcc"]) + missing)) if missing else raw


def _with(raw: bytes, name: str, value: str) -> bytes:
    """The message with a header set: in its place, or before all others."""
    line = f"{name}: {value}\r\n".encode("utf-8", "replace")
    head, rest = _split(raw)
    present = re.compile(rb"^" + name.encode() + rb":.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE | re.MULTILINE)
    changed, found = present.subn(lambda _: line, head + b"\r\n", count=1)
    return changed[:-2] + rest if found else line + raw


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Headers, of which there may be none, and what follows their last line."""
    size = len((b"\r\n" + raw).partition(b"\r\n\r\n")[0][2:])
    return raw[:size], raw[size:]
