"""Read values of an unresolved Compose file: variables with defaults, and lists that can also be written as maps or as text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from envctl.init.project_files import as_list

_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?+])([^}]*))?\}")


def with_defaults(text: str) -> str:
    """Return *text* with its variables replaced by their defaults; a variable without a default becomes empty."""
    return _VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "", text)


def pairs_of(value: object) -> Iterable[tuple[str, str]]:
    """Return the pairs of name and text in `{A: b}` or `[A=b]`."""
    pairs = value.items() if isinstance(value, dict) else (str(item).partition("=")[::2] for item in as_list(value))
    return ((str(key), with_defaults("" if item is None else str(item))) for key, item in pairs)


def words_of(value: object) -> list[str]:
    """Return the words of a command, which is a list or one line of shell text."""
    if not isinstance(value, str):
        return [with_defaults(str(word)) for word in as_list(value)]
    text = with_defaults(value)
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
