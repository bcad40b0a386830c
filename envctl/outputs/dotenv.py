"""What python-dotenv and Node's dotenv read alike.

Single quotes keep everything as it is, but know no escape that both understand; double quotes know `\\n` in both, and Node
leaves other backslashes alone. So: plain where it is safe, single quotes where there is none inside, double quotes for
values with single quotes and newlines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~^*?&!;|<>()\[\]{}-]*")


def text(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={quoted(value)}\n" for key, value in values.items())


def quoted(value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    if "`" not in value and '"' in value:
        return "`" + value + "`"
    return '"' + value.replace("\n", "\\n") + '"'
