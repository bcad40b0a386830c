"""Hide secrets in text that is printed."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
# The password in a URL is hidden even if it is not a known secret; an expression `${...}` in its place is not a password.
_IN_URL = re.compile(r"(://[^\s/:@'\"]*:)(?!\$\{|\*\*\*@)[^\s/@'\"]+(?=@)")


class Mask:
    """The secrets that are known so far. Calling a mask with a text returns the text with every secret hidden."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide *secrets* from now on."""
        more = self._secrets | frozenset(secrets) - {""}
        if more != self._secrets:
            self._secrets, self._pattern = more, _pattern(more)

    def __call__(self, text: str) -> str:
        """Return *text* with every known secret and every password in a URL hidden; longer secrets take precedence."""
        hidden = self._pattern.sub(MASK, text) if self._pattern else text
        return _IN_URL.sub(rf"\1{MASK}", hidden) if "://" in hidden else hidden


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    from envctl.session.secret_spellings import pattern  # most commands have no secrets

    return pattern(secrets)
