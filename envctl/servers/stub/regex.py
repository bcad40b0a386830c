"""Java's regular expressions, which mappings are written in, as Python's."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from .refusal import Refusal


# Placeholders are compiled when a body is compared, and the warnings below are no matter for many threads at once.
@lru_cache(maxsize=1024)
def compile_regex(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """`pattern` for `fullmatch`; what Python would read differently or not at all is refused."""
    translated = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern)
    translated = re.sub(r"\\k<(\w+)>", r"(?P=\1)", translated)
    try:
        with warnings.catch_warnings():
            # Python warns of nested sets and of `&&`, which it takes literally and Java does not.
            warnings.simplefilter("error", FutureWarning)
            # In Java a dot of WireMock's matches newlines, and \d, \w and \s are ASCII.
            return re.compile(translated, flags | re.DOTALL | re.ASCII)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise Refusal(f"regular expression {pattern!r}: {error}") from None
