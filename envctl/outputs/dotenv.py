"""What python-dotenv and Node's dotenv read alike.

Unquoted text is raw for both, as long as it holds no `#` and no line break, and does not begin with a quote or a blank.
Single and double quotes are alike only without backslashes: python-dotenv knows escapes there, Node's knows two. What
neither way can say alike (a quote of each kind together with `#`, a line break or an outer blank) is written for
python-dotenv. `${NAME}` is interpolated by python-dotenv however it is quoted, unless it is told `interpolate=False`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

RAW = re.compile(r"""(?!['"`\s])[^#\r\n]*(?<!\s)""")


def text(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={quoted(value)}\n" for key, value in values.items())


def quoted(value: str) -> str:
    if value.isascii() and RAW.fullmatch(value):
        return value
    if not set("'\\\r") & set(value):
        return f"'{value}'"
    if not set('"\\') & set(value):
        return '"' + value.replace("\r", "\\r").replace("\n", "\\n") + '"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'
