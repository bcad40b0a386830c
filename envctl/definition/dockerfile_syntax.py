"""The text of a Dockerfile: its instructions, its stages, and the words behind an instruction."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_HEREDOC = re.compile(r"(?<!\S)\d*<<-?[\"']?([A-Za-z_]\w*)")
"""A word of its own, as for BuildKit: neither `<<<` nor a shift is one."""
_ESCAPE = re.compile(r"\A(?:[ \t]*#[^\n]*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE)


class Instruction(NamedTuple):
    """A line of a Dockerfile: `COPY`, and what stands behind it."""

    name: str
    rest: str


class Stage(NamedTuple):
    """`FROM base AS name` and the instructions up to the next one; *name* in small letters."""

    base: str
    name: str
    steps: list[Instruction]


def instructions(text: str) -> Iterator[Instruction]:
    """Each instruction, its name in capitals, continued lines joined; without comments and here-documents."""
    lines, escape = text.splitlines(), "`" if _ESCAPE.match(text) else "\\"
    last = {line.strip(): number for number, line in enumerate(lines)}
    left = enumerate(lines)
    for number, line in left:
        number, whole = _continued(number, line, left, escape) if not line.lstrip().startswith("#") else (number, "")
        name, rest = (*whole.split(None, 1), "", "")[:2]
        if name.upper() in ("RUN", "COPY", "ADD"):
            for end in _HEREDOC.findall(rest):
                if last.get(end, -1) > number:
                    number = next(inner for inner, said in left if said.strip() == end)
        if name.isalpha():
            yield Instruction(name.upper(), rest.strip())


def _continued(number: int, line: str, left: Iterator[tuple[int, str]], escape: str) -> tuple[int, str]:
    """The whole instruction, and the number of its last line."""
    parts = [line]
    said = ((at, each) for at, each in left if each.strip() and not each.lstrip().startswith("#"))
    while parts[-1].rstrip().endswith(escape):
        parts[-1] = parts[-1].rstrip()[:-1]
        number, following = next(said, (number, ""))
        parts.append(following)
    return number, " ".join(parts)


def stages(steps: Iterable[Instruction]) -> Iterator[Stage]:
    """First what stands before all of them, as a stage that comes from nothing."""
    stage = Stage("", "", [])
    for step in steps:
        if step.name == "FROM":
            yield stage
            words = [word for word in step.rest.split() if not word.startswith("--")]
            stage = Stage(words[0] if words else "", words[2].lower() if len(words) > 2 and words[1].lower() == "as" else "", [])
        else:
            stage.steps.append(step)
    yield stage


def words_of(rest: str) -> list[str]:
    """Those of the form of a list, or of a shell's line.

    Raises:
        ValueError: its quotes do not end.
    """
    return [str(word) for word in json.loads(rest)] if rest.startswith("[") else shlex.split(rest)
