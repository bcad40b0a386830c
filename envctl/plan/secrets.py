"""Credentials that nobody gave: derived from one random key of the instance, so that they last as long as it does."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable


def drawn_from(key: bytes) -> Callable[[str, str], str]:
    """A function of service and parameter to 24 letters and digits, the first a letter."""

    def draw(service: str, parameter: str) -> str:
        digest = hmac.new(key, f"{service}\0{parameter}".encode(), hashlib.sha256).hexdigest()
        return "e" + digest[:23]

    return draw


def key_of_name(name: str) -> bytes:
    """The key that `render` uses: known to whoever knows the name, hence never used by `up`."""
    return hashlib.sha256(f"envctl render {name}".encode()).digest()
