"""Regular expressions from untrusted authors, matched in linear time by RE2, so that every search ends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol


class Regexp(Protocol):
    """A regular expression, compiled by `re2`."""

    def search(self, text: str | bytes) -> Any:
        """Return the first match in *text*; None if there is none."""


class BadPattern(ValueError):
    """The error for a text that is no regular expression, or cannot be matched in linear time. Its message gives the reason."""


SYNTAX = "the syntax is RE2's"


@lru_cache(maxsize=256)
def compiled(pattern: str, lines: bool = True) -> Regexp:
    """Return *pattern*, compiled for `search` in text or UTF-8 bytes.

    Args:
        lines: whether `^` and `$` match the ends of each line, and no match extends beyond a line. Otherwise, they match the ends
            of the whole text.

    Raises:
        BadPattern: RE2 does not accept *pattern*.
    """
    import re2  # imported here, because few commands need this third-party module

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
    words = words.replace("(?m)", "", 1)  # the message may quote the pattern with the prefix
    behind = " (look-around and back-references are not supported: they cannot be matched in bounded time)" if _backtracks(pattern) else ""
    raise BadPattern(words + behind)


def no_pattern(pattern: str) -> str:
    """Return an error message if *pattern* is not a valid regular expression; otherwise an empty text."""
    try:
        compiled(pattern)
    except BadPattern as error:
        return f"'{pattern}' is not a valid regular expression here: {error}"
    return ""


def _backtracks(pattern: str) -> bool:
    """Return whether Python's own engine, which backtracks, accepts *pattern*."""
    import re

    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
