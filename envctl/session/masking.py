"""Secrets in what is printed."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 4
"""Shorter ones would be found in every other word."""
MASK = "***"


class Mask:
    """The secrets that are known so far."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secrets: Iterable[str]) -> None:
        """From now on *secrets* are hidden."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)

    def __call__(self, text: str) -> str:
        """*text* with every secret hidden, the longest first."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text
