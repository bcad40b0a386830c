"""Find a secret in text in all of its spellings: unchanged, in JSON, Python, SQL, a shell, a URL or a Compose file, or in base64."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""The minimum length of a secret in characters: a shorter one would be found in too many places."""
_LONG = 16


def pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds *secrets*, longer ones first, but not inside of longer words; None without secrets."""
    forms = {form: wording for secret in secrets for form, wording in _forms(secret)}
    return re.compile("|".join(forms[form] for form in sorted(forms, key=len, reverse=True))) if forms else None


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    for spelling in spellings(secret):
        yield spelling, _wording(spelling)
    for encoded in _base64(secret) if len(secret) >= SHORTEST else ():
        yield encoded, re.escape(encoded)


def _wording(spelling: str) -> str:
    """Return the pattern for one spelling.

    A spelling that looks like a word is found only as a whole word (or after MySQL's `-p`), any other spelling everywhere.
    """
    if re.search(r"\W", spelling) or (len(spelling) >= _LONG and re.search(r"\d", spelling)):
        return re.escape(spelling)
    return rf"(?:(?<!\w)|(?<=\s-p)){re.escape(spelling)}(?!\w)"


def spellings(secret: str) -> frozenset[str]:
    """Return *secret* and each of its lines, as they are and as JSON, Python, SQL, a shell, a URL and Compose files write them.

    Spellings that are too short to be hidden are left out.
    """
    lines = [secret, *secret.splitlines()]
    return frozenset(form for line in lines if len(line) >= SHORTEST for form in _spelled(line) if len(form) >= SHORTEST)


def _spelled(text: str) -> Iterator[str]:
    yield text
    for ascii_only in (False, True):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    yield repr(text)[1:-1]
    doubled = text.replace("'", "''")
    yield from (doubled, doubled.replace("\\", "\\\\"), text.replace("\\", "\\\\").replace("'", "\\'"))
    yield shlex.quote(text).removeprefix("'").removesuffix("'")
    for url in (quote(text, "", errors="replace"), quote(text, errors="replace"), quote_plus(text, errors="replace")):
        yield from (url, re.sub("%..", lambda code: code[0].lower(), url))
    yield from (text.replace("$", "$$"), text.replace("${", "$${"))


def _base64(secret: str) -> Iterator[str]:
    """Yield the base64 of the secret at each of the three offsets that it may have in the encoded data (`user:password` in a header).

    The first and the last characters are cut off where they share bits with the neighbouring data.
    """
    raw = secret.encode(errors="replace")
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw).decode()
        inner = whole[-(-shift * 8 // 6) :].rstrip("=")
        inner = inner[:-1] if whole.endswith("=") else inner
        if len(inner) >= 2 * SHORTEST:
            yield from {inner, inner.replace("+", "-").replace("/", "_")}
