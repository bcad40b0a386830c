"""The variables of the `.env` beside a Compose file, and texts with variables in them, as Compose reads both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envctl.definition.env_files import bindings
from envctl.files.reading import read_file

if TYPE_CHECKING:
    from dotenv.parser import Binding

MAX_DOTENV = 1_000_000
"""Bytes."""
MOST_NESTED = 4
_QUOTE = re.compile(r"^\s*(?:export\s+)?[^=:]*[=:]\s*(['\"])")


class Dotenv(NamedTuple):
    """What a `.env` says."""

    variables: dict[str, str]
    unresolved: frozenset[str]
    """Those whose values name others in a way that is not understood: it stays in them as it is written."""


NO_DOTENV = Dotenv({}, frozenset())


def dotenv(folder: Path, project: Path, environ: Mapping[str, str]) -> Dotenv:
    """The variables of its `.env`; a folder of that name (a virtual environment, say) is none for Compose either.

    A value may name those above it, and those of *environ*.
    """
    if (folder / ".env").is_dir():
        return NO_DOTENV
    try:
        text = read_file(folder / ".env", project, largest=MAX_DOTENV).decode("utf-8-sig", "replace")
    except OSError:
        return NO_DOTENV
    found: dict[str, str] = {}
    resolved: dict[str, bool] = {}
    for each in bindings(text):
        if each.key:
            found[each.key], resolved[each.key] = _text(each, {**found, **environ})
    return Dotenv(found, frozenset(name for name in resolved if not resolved[name]))


def _text(binding: Binding, variables: Mapping[str, str]) -> tuple[str, bool]:
    """The value, and whether all of it is understood."""
    value, quote = binding.value or "", _QUOTE.match(binding.original.string)
    if quote is not None and quote[1] == "'":
        return value, True  # everything stands for itself
    written = value.replace("\\$", "$$") if quote is not None else value
    return substituted(written, variables), "${" not in _variable().sub(" ", written)


def substituted(text: str, variables: Mapping[str, str | None], *, keep: bool = False) -> str:
    """*text* with its variables' values; where it says more than a name and another text, its `$` stays.

    Args:
        keep: a variable that has no value stays as it is written, too.
    """
    return _variable().sub(lambda found: _value(found, variables, keep), text)


@cache  # most commands read no such text
def _variable() -> re.Pattern[str]:
    """What stands for an absent value may name others in turn; nothing is tried twice, so that no text takes long."""
    word = r"[^{}$]*+"
    for _ in range(MOST_NESTED):
        word = rf"(?:[^{{}}$]|\$\$|\$\{{\w+(?::?[-?+]{word})?\}}|\$[A-Za-z_]\w*+|\$(?![A-Za-z_${{])|\{{{word}\}})*+"
    return re.compile(rf"\$(?:(?P<dollar>\$)|\{{(?P<braced>\w+)(?:(?P<sign>:?[-?+])(?P<word>{word}))?\}}|(?P<bare>[A-Za-z_]\w*))")


def _value(found: re.Match[str], variables: Mapping[str, str | None], keep: bool) -> str:
    if found["dollar"]:
        return "$"
    value, sign = variables.get(found["braced"] or found["bare"]), found["sign"] or ""
    missing = value is None or (not value and sign.startswith(":"))
    if missing if sign.endswith("-") else sign.endswith("+") and not missing:
        return substituted(found["word"], variables, keep=keep)
    if missing and keep and not sign.endswith("+"):
        return found[0]
    return "" if missing or sign.endswith("+") else str(value)
