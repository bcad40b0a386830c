"""Lines for `$GITHUB_ENV`. A value with several lines is enclosed in delimiters that cannot be guessed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from envctl.session.secret_spellings import SHORTEST, spellings


def text(values: Mapping[str, str]) -> str:
    """Return *values* as lines for `$GITHUB_ENV`."""
    return "".join(_entry(key, value) for key, value in values.items())


def _entry(key: str, value: str) -> str:
    if "\n" not in value and "\r" not in value:
        return f"{key}={value}\n"
    mark = f"EOF_{secrets.token_hex(16)}"
    return f"{key}<<{mark}\n{value}\n{mark}\n"


def masks(credentials: Iterable[str]) -> str:
    """Return the commands that hide *credentials* in the runner's logs. The runner hides every match, so very short ones are left out."""
    lines = {line for credential in credentials for form in spellings(credential) for line in form.splitlines()}
    return "".join(f"::add-mask::{_escaped(line)}\n" for line in sorted(lines) if len(line) >= SHORTEST)


def _escaped(line: str) -> str:
    return line.replace("%", "%25")
