"""The name under which services inside reach each other."""

from __future__ import annotations

import hashlib
import re

LONGEST = 50
"""Of 63 that a DNS label may have: what belongs to a service is named after it, with a word behind."""


def dns_label(*words: str) -> str:
    """The words as one label of DNS (RFC 1035): small letters, digits and hyphens, a letter first.

    A long one is cut, and told apart by a hash.
    """
    whole = "-".join(words)
    text = re.sub(r"[^a-z0-9-]", "-", whole.lower()).strip("-")
    text = text if text[:1].isalpha() else f"s-{text}"
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 7].rstrip('-')}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
