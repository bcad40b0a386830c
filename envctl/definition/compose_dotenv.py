"""Parsing of the `.env` beside a Compose file, and substitution of variables in texts, both as Compose does it."""

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
"""The most bytes of a `.env`."""
MOST_NESTED = 4
_QUOTE = re.compile(r"^\s*(?:export\s+)?[^=:]*[=:]\s*(['\"])")


class Dotenv(NamedTuple):
    """The content of a `.env`."""

    variables: dict[str, str]
    unresolved: frozenset[str]
    """Variables whose values contain a reference that is not understood. The reference stays in the value as it is written."""


NO_DOTENV = Dotenv({}, frozenset())


def dotenv(folder: Path, project: Path, environ: Mapping[str, str]) -> Dotenv:
    """Return the variables of the `.env` in *folder*; none if it does not exist, or is a folder (such as a virtual environment).

    A value may refer to variables above it, and to those of *environ*.

    Raises:
        FileRefused: the file is outside of *project*, is not a regular file, or has more than MAX_DOTENV bytes.
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
    """Return the value of *binding*, and whether every reference in it is understood."""
    value, quote = binding.value or "", _QUOTE.match(binding.original.string)
    if quote is not None and quote[1] == "'":
        return value, True  # nothing is special between single quotes
    written = value.replace("\\$", "$$") if quote is not None else value
    return substituted(written, variables), "${" not in _variable().sub(" ", written)


def substituted(text: str, variables: Mapping[str, str | None], *, keep: bool = False) -> str:
    """Return *text* with its variables replaced by their values. A reference in a form that is not understood stays as it is written.

    Args:
        variables: the values, by name.
        keep: whether a variable without a value also stays as it is written.
    """
    return _variable().sub(lambda found: _value(found, variables, keep), text)


@cache  # compiled on first use, because most commands do not need it
def _variable() -> re.Pattern[str]:
    """Return the pattern of a variable. Its default may contain variables in turn.

    The quantifiers are possessive, so that nothing is tried twice and every search is fast.
    """
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
