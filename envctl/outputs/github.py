"""Lines for `$GITHUB_ENV`; a value of several lines stands between delimiters that nobody can know beforehand."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from envctl.session.secret_spellings import SHORTEST, spellings


def text(values: Mapping[str, str]) -> str:
    return "".join(_entry(key, value) for key, value in values.items())


def _entry(key: str, value: str) -> str:
    if "\n" not in value and "\r" not in value:
        return f"{key}={value}\n"
    mark = f"EOF_{secrets.token_hex(16)}"
    return f"{key}<<{mark}\n{value}\n{mark}\n"


def masks(credentials: Iterable[str]) -> str:
    """The commands that make the runner hide *credentials* in its logs; it does so everywhere, so that very short ones are left out."""
    lines = {line for credential in credentials for form in spellings(credential) for line in form.splitlines()}
    return "".join(f"::add-mask::{_escaped(line)}\n" for line in sorted(lines) if len(line) >= SHORTEST)


def _escaped(line: str) -> str:
    return line.replace("%", "%25")
