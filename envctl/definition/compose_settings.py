"""Settings in configuration files of servers: `name value` or `name = value`, in sections (`[name]`) or blocks (`name { ... }`)."""

from __future__ import annotations

import re
import shlex

SUFFIXES = (".conf", ".cnf", ".ini")
_SECTION = re.compile(r"\[([^\]]+)\]")
_SERVERS = re.compile(r"(?:mysqld|mariadbd?|server)(?:-\d.*)?")
"""The sections that a server of MySQL or MariaDB reads. The sections of its clients may set other ports."""
_NO_TEXT = re.compile(r"\s+#.*")


def setting(text: str, name: str) -> str | None:
    """Return the value of the setting *name*, the last one if there are several; None if there is none.

    `^name` means the first value instead. `block/name` is a setting in a block: `block { name: value }`.
    """
    block, slash, inner = name.partition("/")
    if slash:
        body = re.search(rf"\b{re.escape(block)}\b\s*[:=]?\s*\{{([^{{}}]*)", text)
        found = re.search(rf"\b{re.escape(inner)}\b\s*[:=]?\s*(\"[^\"]*\"|'[^']*'|[^\s,}}]+)", body[1]) if body else None
        return found[1].strip("\"'") if found else None
    values = []
    served, first, name = True, name.startswith("^"), name.removeprefix("^")
    for line in text.splitlines():
        if section := _SECTION.fullmatch(line.strip()):
            served = _SERVERS.fullmatch(section[1]) is not None
        elif served and (told := re.match(rf"[ \t]*{re.escape(name)}(?:[ \t]*[=:][ \t]*|[ \t]+)(\S.*)", line)):
            values.append(_plain(told[1]))
    return values[0 if first else -1] if values else None


def _plain(text: str) -> str:
    """Return *text* without quotes, without a comment, and without a semicolon at its end."""
    text = _NO_TEXT.sub("", text).strip().removesuffix(";")
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text
