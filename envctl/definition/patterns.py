"""Regular expressions of strangers, matched in linear time (RE2): whatever is written, and whatever it meets, a search ends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol


class Regexp(Protocol):
    """What `re2` makes of one."""

    def search(self, text: str | bytes) -> Any: ...


class BadPattern(ValueError):
    """It is no regular expression, or one that cannot be searched for in linear time; the text says what is in the way."""


SYNTAX = "the syntax is RE2's"


@lru_cache(maxsize=256)
def compiled(pattern: str, lines: bool = True) -> Regexp:
    """For `search` in text or UTF-8 bytes.

    Args:
        lines: `^` and `$` are the ends of a line, and no match reaches beyond one; else they are those of the whole text.

    Raises:
        BadPattern
    """
    import re2  # no standard library has it, and few commands need it

    options = re2.Options()
    options.log_errors, options.never_nl = False, lines
    try:
        found: Regexp = re2.compile(f"(?m){pattern}" if lines else pattern, options)
        return found
    except re2.error as error:
        said = error.args[0] if error.args else error
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    except UnicodeEncodeError:
        words = "half of a surrogate pair"
    words = words.replace("(?m)", "", 1)  # in words that quote it
    behind = " (look-around and back-references are not supported: they cannot be matched in bounded time)" if _backtracks(pattern) else ""
    raise BadPattern(words + behind)


def no_pattern(pattern: str) -> str:
    """What is wrong with *pattern*; empty for nothing."""
    try:
        compiled(pattern)
    except BadPattern as error:
        return f"'{pattern}' is not a valid regular expression here: {error}"
    return ""


def _backtracks(pattern: str) -> bool:
    """Whether Python's own engine, which backtracks, would take it."""
    import re

    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
