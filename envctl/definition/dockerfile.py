"""What a Dockerfile says of the image that it makes: the one that it is made from, and what it adds for who runs it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.definition.compose_dotenv import substituted
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

LARGEST = 1_000_000
"""Bytes of a Dockerfile."""
_HEREDOC = re.compile(r"<<-?[\"']?(\w+)[\"']?")
_MOST_STAGES = 100


@dataclass
class Made:
    """An image as a Dockerfile makes it.

    Attributes:
        base: the image that its last stage comes from in the end; "" where that is none, or cannot be told.
        entrypoint: the program, if the Dockerfile says one.
        command: likewise; the text of a shell stands behind `sh -c`.
    """

    base: str
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] | None = None
    command: list[str] | None = None

    def told(self) -> dict[str, Any]:
        """As Compose says the same of a service."""
        return {"environment": self.env, "entrypoint": self.entrypoint, "command": self.command}


def made_by(build: Mapping[str, Any], project: Path) -> Made:
    """The image of a `build:` as Compose resolves it; of a Dockerfile that cannot be read in *project* nothing is known."""
    text = build.get("dockerfile_inline")
    try:
        text = text or read_file(Path(str(build["context"]), build.get("dockerfile") or "Dockerfile"), project, largest=LARGEST).decode()
    except (FileRefused, OSError, UnicodeDecodeError):
        return Made("")
    arguments = {key: str(value) for key, value in (build.get("args") or {}).items() if value is not None}
    found = made(text, str(build.get("target") or ""), arguments)
    return Made("") if found.base in (build.get("additional_contexts") or {}) else found


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction, in capitals, and what stands behind it, continued lines joined; without comments and here-documents."""
    lines = iter(text.splitlines())
    for line in lines:
        whole = _continued(line, lines) if not line.lstrip().startswith("#") else ""
        name, _, rest = whole.strip().partition(" ")
        if name.upper() in ("RUN", "COPY", "ADD"):
            for end in _HEREDOC.findall(rest):
                next((inner for inner in lines if inner.strip() == end), "")
        if name:
            yield name.upper(), rest.strip()


def _continued(line: str, lines: Iterator[str]) -> str:
    while line.rstrip().endswith("\\"):
        following = next((each for each in lines if not each.lstrip().startswith("#")), "")
        line = line.rstrip()[:-1] + " " + following
    return line


def words_of(rest: str) -> list[str]:
    """Those of the form of a list, or of a shell's line.

    Raises:
        ValueError: its quotes do not end.
    """
    return [str(word) for word in json.loads(rest)] if rest.startswith("[") else shlex.split(rest)


def made(text: str, target: str = "", arguments: Mapping[str, str] | None = None) -> Made:
    """The image of the last stage, or of *target*, built with *arguments*."""
    stages = list(_stages(text, arguments or {}))
    chosen = next((stage for name, stage in reversed(stages) if not target or name == target.lower()), None)
    return _rooted(chosen, stages) if chosen is not None else Made("")


def _stages(text: str, arguments: Mapping[str, str]) -> Iterator[tuple[str, Made]]:
    """Their names and what they add; the bases are as written, with the variables' values."""
    known: dict[str, str] = {}
    stage: tuple[str, Made] | None = None
    for name, rest in instructions(text):
        if name == "FROM":
            if stage is not None:
                yield stage
            words = [word for word in rest.split() if not word.startswith("--")]
            named = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""
            stage = named, Made(substituted(words[0], known) if words else "")
        elif stage is None:
            known |= {key: arguments.get(key, value) for key, value in _pairs(rest)} if name == "ARG" else {}
        else:
            _add(stage[1], name, rest)
    if stage is not None:
        yield stage


def _add(stage: Made, name: str, rest: str) -> None:
    if name == "ENV":
        stage.env |= dict(_pairs(rest))
    elif name == "ENTRYPOINT":
        stage.entrypoint, stage.command = _program(rest), stage.command or []  # the base's command goes with its entry point
    elif name == "CMD":
        stage.command = _program(rest)


def _program(rest: str) -> list[str]:
    try:
        return words_of(rest) if rest.startswith("[") else ["sh", "-c", rest]
    except ValueError:
        return ["sh", "-c", rest]


def _pairs(rest: str) -> Iterator[tuple[str, str]]:
    """`A=b C="d e"`, `A value` and a bare `A`."""
    if "=" not in rest.partition(" ")[0]:
        yield rest.partition(" ")[0], rest.partition(" ")[2].strip()
        return
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    for word in words:
        key, _, value = word.partition("=")
        yield key, value


def _rooted(stage: Made, stages: Sequence[tuple[str, Made]]) -> Made:
    """*stage* with what it has of the stages that it comes from."""
    named = {name: each for name, each in stages if name}
    for _ in range(_MOST_STAGES):
        below = named.get(stage.base.lower())
        if below is None or below is stage:
            break
        entrypoint = below.entrypoint if stage.entrypoint is None else stage.entrypoint
        command = below.command if stage.command is None else stage.command
        stage = Made(below.base, {**below.env, **stage.env}, entrypoint, command)
    return stage if "$" not in stage.base else Made("")
