"""Dotenv files that python-dotenv and Node's dotenv read alike, and that readers without support for quotes read correctly, too.

All readers take an unquoted text literally if it contains no `#` and no line break, and does not begin with a quote or a blank.
Single and double quotes mean the same only without backslashes: python-dotenv has escapes in both, Node's dotenv only two of them. A
value that cannot be written in the same way for both (it has both kinds of quotes and `#`, a line break or an outer blank) is written
for python-dotenv. python-dotenv interpolates `${NAME}` in every quoting, unless it is called with `interpolate=False`.

GitLab's dotenv reports and `docker run --env-file` treat quotes as a part of the value, read each line separately, and use the last line
of a name. Therefore quoted values are repeated without quotes for these readers. The other readers see the repetition as the quoted
value of another variable, which gets its own value again at the end:

    WORDS='two words #1'
    PLAIN='
    WORDS=two words #1
    PLAIN='
    PLAIN=plain
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

RAW = re.compile(r"""(?!['"`\s])[^#\r\n\v\f\x1c-\x1e\x85\u2028\u2029\ufeff]*(?<!\s)""")
LINE = re.compile(r"(?!\s)[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029\0]*(?<!\s)")
"""Matches values that a reader without support for quotes can read."""


def text(values: Mapping[str, str]) -> str:
    """Return one line for each of *values*, and the repetition for readers without support for quotes."""
    return "".join(f"{key}={quoted(value)}\n" for key, value in values.items()) + "".join(_unquoted(values))


def quoted(value: str) -> str:
    """Return *value* with quotes if it needs them."""
    if RAW.fullmatch(value):
        return value
    if not set("'\\\r\n") & set(value):
        return f"'{value}'"
    if not set('"\\') & set(value):
        return '"' + value.replace("\r", "\\r").replace("\n", "\\n") + '"'
    if not set("'\\\r") & set(value):
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'


def _unquoted(values: Mapping[str, str]) -> Iterator[str]:
    """Yield the values again for readers without support for quotes, if a variable with an unquoted value can contain them."""
    carrier = next((key for key, value in values.items() if RAW.fullmatch(value)), None)
    marks = {key: _mark(value) for key, value in values.items() if LINE.fullmatch(value) and not RAW.fullmatch(value)}
    told = [f"{carrier}={mark}\n{key}={values[key]}\n{carrier}={mark}\n" for key, mark in marks.items() if mark]
    if carrier is not None and told:
        yield from (*told, f"{carrier}={values[carrier]}\n")


def _mark(value: str) -> str:
    """Return a quote in which *value* is literal, also in a shell; empty if there is none."""
    if "'" not in value:
        return "'"
    return "" if set('"$`\\') & set(value) else '"'
