"""The messages that came in, in memory, as long as the process lives."""

from __future__ import annotations

import os
import random
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .message import describe

_LETTERS = string.ascii_letters + string.digits


@dataclass
class Stored:
    """One message: its bytes, its description, and its attachments by their generated names."""

    id: str
    raw: bytes
    envelope: dict[str, Any]
    document: dict[str, Any]
    files: dict[str, bytes]
    cleaned: bool = False


class Inbox:
    """Messages in the order of their arrival; `arrived` is told of each new one."""

    def __init__(self, arrived: Callable[[Stored], object]) -> None:
        self._messages: list[Stored] = []
        self._arrived = arrived
        self._lock = threading.Lock()

    def add(self, raw: bytes, envelope: dict[str, Any]) -> Stored:
        """Keep a message."""
        message = _stored("".join(random.choices(_LETTERS, k=8)), raw, envelope, read=False)
        with self._lock:
            self._messages.append(message)
        self._arrived(message)
        return message

    def all(self) -> list[Stored]:
        """Every message, oldest first."""
        with self._lock:
            return list(self._messages)

    def get(self, identity: str) -> Stored | None:
        """A message by its id."""
        return next((message for message in self.all() if message.id == identity), None)

    def remove(self, identity: str) -> bool:
        """Forget a message; whether there was one."""
        with self._lock:
            before = len(self._messages)
            self._messages = [message for message in self._messages if message.id != identity]
            return len(self._messages) < before

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._messages = []

    def read_all(self) -> int:
        """Mark everything as read; how many were not."""
        unread = [message for message in self.all() if not message.document["read"]]
        for message in unread:
            message.document["read"] = True
        return len(unread)

    def reload(self) -> None:
        """Read every message anew, which ephemeral the envelopes, as MailDev's files do not hold them."""
        nowhere = {"from": "", "to": "", "host": "undefined", "remoteAddress": "undefined"}
        with self._lock:
            self._messages = [_stored(message.id, message.raw, nowhere, read=True) for message in self._messages]


def _stored(identity: str, raw: bytes, envelope: dict[str, Any], read: bool) -> Stored:
    source = f"/tmp/maildev-{os.getpid()}/{identity}.eml"
    return Stored(identity, raw, envelope, *describe(raw, envelope, {"id": identity, "source": source, "read": read}))
