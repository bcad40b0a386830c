"""Settings in the configuration files of servers: `name value`, `name = value`, sections in brackets, blocks in braces."""

from __future__ import annotations

import re
import shlex

SUFFIXES = (".conf", ".cnf", ".ini")
_SECTION = re.compile(r"\[([^\]]+)\]")
_SERVERS = re.compile(r"(?:mysqld|mariadbd?|server)(?:-\d.*)?")
"""The sections that a server of MySQL or MariaDB reads; those of its clients have ports, too."""
_NO_TEXT = re.compile(r"\s+#.*")


def setting(text: str, name: str) -> str | None:
    """The value of *name*, the last one where it stands several times; None where it does not.

    Of `^name` it is the first. `block/name` stands in a block: `block { name: value }`.
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
    """Without quotes, a comment behind it, and the semicolon at the end of a line."""
    text = _NO_TEXT.sub("", text).strip().removesuffix(";")
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text
