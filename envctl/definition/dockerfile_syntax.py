"""The syntax of a Dockerfile: its instructions, its stages, and the words of an instruction."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_HEREDOC = re.compile(r"(?<!\S)\d*<<-?[\"']?([A-Za-z_]\w*)")
"""The start of a here-document. As in BuildKit, it is a separate word; `<<<` and the shift operator do not match."""
_ESCAPE = re.compile(r"\A(?:[ \t]*#[^\n]*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE)


class Instruction(NamedTuple):
    """An instruction of a Dockerfile: its name, such as `COPY`, and the rest of its line."""

    name: str
    rest: str


class Stage(NamedTuple):
    """A build stage: `FROM base AS name`, and the instructions before the next `FROM`. *name* is in lower case."""

    base: str
    name: str
    steps: list[Instruction]


def instructions(text: str) -> Iterator[Instruction]:
    """Yield each instruction, its name in upper case and its continued lines joined. Comments and here-documents are left out."""
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
    """Return the number of an instruction's last line, and the instruction with its continued lines joined."""
    parts = [line]
    said = ((at, each) for at, each in left if each.strip() and not each.lstrip().startswith("#"))
    while parts[-1].rstrip().endswith(escape):
        parts[-1] = parts[-1].rstrip()[:-1]
        number, following = next(said, (number, ""))
        parts.append(following)
    return number, " ".join(parts)


def stages(steps: Iterable[Instruction]) -> Iterator[Stage]:
    """Yield the stages. The first one has no base, and contains the instructions before the first `FROM`."""
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
    """Return the words of an instruction's *rest*: a JSON list (exec form), or a shell's command line (shell form).

    Raises:
        ValueError: the list is not valid JSON, or a quote of the command line is not closed.
    """
    return [str(word) for word in json.loads(rest)] if rest.startswith("[") else shlex.split(rest)
