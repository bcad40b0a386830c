"""The received messages, which are kept in memory until the process ends."""

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
    """The received bytes are not a mail message."""


class Inbox:
    """The received messages, for any number of threads.

    Args:
        arrived: called with each new message.
    """

    def __init__(self, arrived: Callable[[Message], object]) -> None:
        self._messages: list[Message] = []
        self._arrived = arrived
        self._lock = threading.Lock()

    def add(self, sender: str, recipients: Sequence[str], content: bytes, username: str) -> Message:
        """Store a message and return it.

        Args:
            sender: the sender's address in the envelope.
            recipients: the addresses in the envelope.
            content: the message as it was received.
            username: the user that has logged in; empty for none.

        Raises:
            Unreadable: *content* is not a message.
        """
        message = Message(token_hex(11), completed(sender, recipients, content), datetime.now(UTC), username)
        with self._lock:
            self._messages.insert(0, message)
        self._arrived(message)
        return message

    def all(self) -> list[Message]:
        """Return all messages, the newest first."""
        with self._lock:
            return list(self._messages)

    def remove(self, messages: Collection[Message]) -> None:
        """Remove messages; those that are already removed are ignored."""
        gone = {message.id for message in messages}
        with self._lock:
            self._messages = [message for message in self._messages if message.id not in gone]


def completed(sender: str, recipients: Sequence[str], content: bytes) -> bytes:
    """Return a message with the headers that Mailpit adds. Recipients that no header names are added as Bcc, so that searches find them.

    Raises:
        Unreadable: the message begins with lines that are not headers.
    """
    raw = content.replace(b"\r\r\n", b"\r\n")
    head = (b"\r\n" + raw).partition(b"\r\n\r\n")[0][2:]  # the line end in front allows for a message without headers
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
