"""The messages that came in, in memory, as long as the process lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from .message import Message
from .receive import Sent, kept, new_id


class Inbox:
    """Messages, the newest first; `arrived` is told of each new one."""

    def __init__(self, arrived: Callable[[Message], object]) -> None:
        self._messages: list[Message] = []
        self._arrived = arrived
        self._lock = threading.Lock()
        self.started = datetime.now(UTC)
        self.accepted, self.accepted_size, self.deleted = 0, 0, 0

    def add(self, sent: Sent, username: str) -> Message:
        """Keep a message.

        Raises:
            Unreadable: it is none.
        """
        now = datetime.now(UTC)
        # Mailpit keeps milliseconds.
        message = Message(new_id(), kept(sent), now.replace(microsecond=now.microsecond // 1000 * 1000), username)
        with self._lock:
            self._messages.insert(0, message)
            self.accepted, self.accepted_size = self.accepted + 1, self.accepted_size + len(message.raw)
        self._arrived(message)
        return message

    def all(self) -> list[Message]:
        """Every message, the newest first."""
        with self._lock:
            return list(self._messages)

    def remove(self, messages: Collection[Message]) -> None:
        """Forget these messages."""
        gone = {message.id for message in messages}
        with self._lock:
            left = [message for message in self._messages if message.id not in gone]
            self.deleted += len(self._messages) - len(left)
            self._messages = left
