"""The secrets that must not be printed."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
# Of a URL the password is hidden whether or not anybody said that it is one; a reference is none.
_IN_URL = re.compile(r"(://[^\s/:@'\"]*:)(?!\$\{|\*\*\*@)[^\s/@'\"]+(?=@)")


class Mask:
    """The secrets that are known so far."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """From now on *secrets* are hidden."""
        more = self._secrets | frozenset(secrets) - {""}
        if more != self._secrets:
            self._secrets, self._pattern = more, _pattern(more)

    def __call__(self, text: str) -> str:
        """*text* with every secret hidden, the longest first, and the passwords of URLs."""
        hidden = self._pattern.sub(MASK, text) if self._pattern else text
        return _IN_URL.sub(rf"\1{MASK}", hidden) if "://" in hidden else hidden


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    from envctl.session.secret_spellings import pattern  # most commands meet no secret

    return pattern(secrets)
