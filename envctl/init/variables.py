"""`.env.example` and its like: the names by which the project knows its servers."""

from __future__ import annotations

import re

from envctl.init.model import Variable
from envctl.init.project import Project

FILES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "env.example",
    ".env.test.example",
    "example.env",
    "sample.env",
)
MAX_VARIABLES = 200
_LINE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([^\r\n]*))""")
_REFERENCE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")


def variables(project: Project) -> list[Variable]:
    """The variables of all such files; the first file that has a name gives its value."""
    found: dict[tuple[str, str], Variable] = {}
    for path in project.named(*FILES):
        known: dict[str, str] = {}
        for line in project.text(path).splitlines():
            match = _LINE.match(line)
            if match is None:
                continue
            value = _expanded(_value(match), known)
            known[match[1]] = value
            found.setdefault((str(path.parent), match[1]), Variable(match[1], value, path))
    return list(found.values())[:MAX_VARIABLES]


def _value(match: re.Match[str]) -> str:
    if match[2] is not None:
        return match[2].replace('\\"', '"').replace("\\n", "\n")
    if match[3] is not None:
        return match[3]
    return re.sub(r"(^|\s)#.*$", "", match[4]).strip()


def _expanded(value: str, known: dict[str, str]) -> str:
    return _REFERENCE.sub(lambda match: known.get(match[1] or match[3]) or match[2] or "", value)
