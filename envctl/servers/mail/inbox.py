"""The messages that came in, in memory, as long as the process lives."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from secrets import token_hex

from .message import Message
from .mime import addresses_of, parsed

_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")


class Unreadable(Exception):
    """Bytes that are no message."""


class Inbox:
    """Messages, the newest first; `arrived` is told of each new one."""

    def __init__(self, arrived: Callable[[Message], object]) -> None:
        self._messages: list[Message] = []
        self._arrived = arrived
        self._lock = threading.Lock()

    def add(self, sender: str, recipients: Sequence[str], content: bytes, username: str) -> Message:
        """Keep a message.

        Raises:
            Unreadable: it is none.
        """
        message = Message(token_hex(11), completed(sender, recipients, content), datetime.now(UTC), username)
        with self._lock:
            self._messages.insert(0, message)
        self._arrived(message)
        return message

    def all(self) -> list[Message]:
        with self._lock:
            return list(self._messages)

    def remove(self, messages: Collection[Message]) -> None:
        gone = {message.id for message in messages}
        with self._lock:
            self._messages = [message for message in self._messages if message.id not in gone]


def completed(sender: str, recipients: Sequence[str], content: bytes) -> bytes:
    """A message with the headers that Mailpit adds. Recipients that no header names are put into Bcc, so that searches find them.

    Raises:
        Unreadable: it begins with lines that are no headers.
    """
    raw = content.replace(b"\r\r\n", b"\r\n")
    head = (b"\r\n" + raw).partition(b"\r\n\r\n")[0][2:]  # of which there may be nothing
    if head[:1] in (b" ", b"\t") or not all(_HEADER.match(line) for line in head.split(b"\r\n") if line):
        raise Unreadable
    message = parsed(raw)
    named = {one["Address"].lower() for name in ("To", "Cc", "Bcc") for one in addresses_of(message, name)}
    added = []
    if missing := [recipient for recipient in recipients if recipient.lower() not in named]:
        added.append(f"Bcc: {', '.join(missing)}")
    if not str(message.get("Message-ID", "")).strip("<>"):
        added.append(f"Message-ID: <{token_hex(11)}@mailpit>")
    if str(message.get("Return-Path", "")).strip("<>") != sender:
        added.append(f"Return-Path: <{sender}>")
    return "".join(f"{line}\r\n" for line in added).encode("utf-8", "replace") + raw
