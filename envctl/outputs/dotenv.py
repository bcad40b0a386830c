"""What python-dotenv and Node's dotenv read alike, and readers that know no quotes read right, too.

Unquoted text is raw for all of them, as long as it holds no `#` and no line break, and does not begin with a quote or a blank.
Single and double quotes are alike only without backslashes: python-dotenv knows escapes there, Node's knows two. What
neither way can say alike (a quote of each kind together with `#`, a line break or an outer blank) is written for
python-dotenv. `${NAME}` is interpolated by python-dotenv however it is quoted, unless it is told `interpolate=False`.

GitLab's dotenv reports and `docker run --env-file` keep quotes as a part of the value, take each line for itself, and the last one of a
name. For them values that are quoted stand once more as they are, within quotes that only the others see, as a value of another
variable, which has its own in the end:

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
"""What whoever knows no quotes can be told."""


def text(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={quoted(value)}\n" for key, value in values.items()) + "".join(_unquoted(values))


def quoted(value: str) -> str:
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
    """The same again for readers that know no quotes, where there is a variable that can carry it."""
    carrier = next((key for key, value in values.items() if RAW.fullmatch(value)), None)
    marks = {key: _mark(value) for key, value in values.items() if LINE.fullmatch(value) and not RAW.fullmatch(value)}
    told = [f"{carrier}={mark}\n{key}={values[key]}\n{carrier}={mark}\n" for key, mark in marks.items() if mark]
    if carrier is not None and told:
        yield from (*told, f"{carrier}={values[carrier]}\n")


def _mark(value: str) -> str:
    """Quotes that hold *value* and leave it alone, in a shell as well; empty where there are none."""
    if "'" not in value:
        return "'"
    return "" if set('"$`\\') & set(value) else '"'
