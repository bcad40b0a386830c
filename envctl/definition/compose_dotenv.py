"""The variables of the `.env` beside a Compose file, and texts with variables in them, as Compose reads both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.definition.env_files import bindings
from envctl.files.reading import read_file

if TYPE_CHECKING:
    from dotenv.parser import Binding

MAX_DOTENV = 1_000_000
"""Bytes."""
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)(?:(?P<sign>:?[-?+])(?P<word>[^{}$]*))?\}|(?P<bare>[A-Za-z_]\w*))")
_QUOTE = re.compile(r"^\s*(?:export\s+)?[^=:]*[=:]\s*(['\"])")


def dotenv(folder: Path, project: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of its `.env`; a folder of that name (a virtual environment, say) is none for Compose either.

    A value may name those above it, and those of *environ*; what is not understood of it stays as it is written.
    """
    if (folder / ".env").is_dir():
        return {}
    try:
        text = read_file(folder / ".env", project, largest=MAX_DOTENV).decode("utf-8-sig", "replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for each in bindings(text):
        if each.key:
            found[each.key] = _text(each, {**found, **environ})
    return found


def _text(binding: Binding, variables: Mapping[str, str]) -> str:
    value, quote = binding.value or "", _QUOTE.match(binding.original.string)
    if quote is not None and quote[1] == "'":
        return value  # everything stands for itself
    return substituted(value.replace("\\$", "$$") if quote is not None else value, variables)


def substituted(text: str, variables: Mapping[str, str | None], *, keep: bool = False) -> str:
    """*text* with its variables' values; where it says more than a name and another value, its `$` stays.

    Args:
        keep: a variable that has no value stays as it is written, too.
    """
    return _VARIABLE.sub(lambda found: _value(found, variables, keep), text)


def _value(found: re.Match[str], variables: Mapping[str, str | None], keep: bool) -> str:
    if found["dollar"]:
        return "$"
    value, sign = variables.get(found["braced"] or found["bare"]), found["sign"] or ""
    missing = value is None or (not value and sign.startswith(":"))
    if sign.endswith("+"):
        return "" if missing else str(found["word"])
    if missing and keep and not sign.endswith("-"):
        return found[0]
    return (str(found["word"]) if sign.endswith("-") else "") if missing else str(value)
