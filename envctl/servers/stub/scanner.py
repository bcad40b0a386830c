"""Reads a text from left to right, for parsers that descend."""

from __future__ import annotations

import re
from typing import NoReturn

from .refusal import Refusal


class Scanner:
    """A text and a position in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def take(self, pattern: str) -> str | None:
        """What `pattern` matches here, which is then behind us."""
        found = re.compile(pattern).match(self._text, self._position)
        if not found:
            return None
        self._position = found.end()
        return found[0]

    def expect(self, pattern: str, what: str) -> str:
        """The same, where nothing else may stand; `what` says what that is."""
        found = self.take(pattern)
        if found is None:
            self.fail(what)
        return found

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._position == len(self._text)

    def fail(self, what: str) -> NoReturn:
        """Refuse the text for what stands here in place of `what`."""
        raise Refusal(f"JSONPath {self._text!r}: {what} is expected at position {self._position}")
