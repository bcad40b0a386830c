"""The image that a Dockerfile makes: its base image, variables, entry point and command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.definition.compose_dotenv import substituted
from envctl.definition.dockerfile_syntax import Instruction, instructions, stages, words_of
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

LARGEST = 1_000_000
"""The most bytes of a Dockerfile."""
_MOST_STAGES = 100
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|\\.")
_ALONE = re.compile(r"\$(?![\w{@*#?$!-])")
_DOLLAR = "\0"
"""The stand-in for a literal `$` until all variables are replaced."""


@dataclass
class Made:
    """The image that a Dockerfile makes.

    Attributes:
        base: the image on which the last stage is based in the end; "" if there is none, or if it cannot be determined.
        env: the environment variables whose values are known.
        entrypoint: the entry point, if the Dockerfile sets one. A text in shell form follows `sh -c`.
        command: the command, if the Dockerfile sets one. A text in shell form follows `sh -c`.
        unknown: variables whose values come from elsewhere, such as the variables of the base image.
    """

    base: str
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    unknown: frozenset[str] = frozenset()

    def told(self) -> dict[str, Any]:
        """Return the image's settings under the keys that Compose uses for those of a service."""
        return {"environment": self.env, "entrypoint": self.entrypoint, "command": self.command}


def made_by(build: Mapping[str, Any], project: Path) -> Made:
    """Return the image of a `build:` as Compose resolves it; an image without a base if its Dockerfile cannot be read in *project*."""
    text = build.get("dockerfile_inline")
    try:
        text = text or read_file(Path(str(build["context"]), build.get("dockerfile") or "Dockerfile"), project, largest=LARGEST).decode()
    except (FileRefused, OSError, UnicodeDecodeError):
        return Made("")
    arguments = {key: str(value) for key, value in (build.get("args") or {}).items() if value is not None}
    found = made(text, str(build.get("target") or ""), arguments)
    return Made("") if found.base in (build.get("additional_contexts") or {}) else found


def made(text: str, target: str = "", arguments: Mapping[str, str] | None = None) -> Made:
    """Return the image of the last stage, or of the stage *target*, built with *arguments*."""
    first, *parts = stages(instructions(text))
    given = {key: value.replace("$", _DOLLAR) for key, value in (arguments or {}).items()}
    before = _grown(_Growing("", given), first.steps)
    known: dict[str, _Growing] = {}
    chosen = _Growing("", given)
    for part in parts if len(parts) <= _MOST_STAGES else ():
        below = known.get(part.base.lower())
        begun = below.further() if below else _Growing(_expanded(part.base, before.values) or "", given, before.values)
        stage = _grown(begun, part.steps)
        if part.name:
            known[part.name] = stage
        if not target or part.name == target.lower():
            chosen = stage
    return chosen.made()


@dataclass
class _Growing:
    """A stage while its instructions are read. A value that cannot be determined is None.

    Attributes:
        given: the arguments that the build passes.
        shared: the arguments before the first stage.
        values: the values of arguments and environment variables for the next instruction; the one that was set last counts.
        commanded: whether the stage itself has a `CMD`.
    """

    base: str
    given: Mapping[str, str]
    shared: Mapping[str, str | None] = field(default_factory=dict)
    values: dict[str, str | None] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    commanded: bool = False

    def further(self) -> _Growing:
        """Return a new stage that is based on this one."""
        return _Growing(self.base, self.given, self.shared, dict(self.values), dict(self.env), self.entrypoint, self.command)

    def made(self) -> Made:
        """Return the image of the stage."""
        env = {name: value.replace(_DOLLAR, "$") for name, value in self.env.items() if value is not None}
        unknown = frozenset(name for name, value in self.env.items() if value is None)
        return Made(self.base.replace(_DOLLAR, "$"), env, self.entrypoint, self.command, unknown)

    def argue(self, rest: str) -> None:
        """Apply an `ARG`. The build's argument overrides the instruction's default, which overrides the argument before the first stage."""
        told = dict(_assignments(rest))
        said = {name: _expanded(text, self.values) for name, text in told.items() if text is not None}
        sources: tuple[Mapping[str, str | None], ...] = (self.shared, said, self.given)
        self.values |= {name: source[name] for name in told for source in sources if name in source}

    def set(self, rest: str) -> None:
        """Apply an `ENV`. Variables in its values have the values from before the instruction."""
        found = {name: _expanded(text, self.values) for name, text in _pairs(rest)}
        self.env |= found
        self.values |= found


def _grown(stage: _Growing, steps: list[Instruction]) -> _Growing:
    for name, rest in steps:
        if name == "ARG":
            stage.argue(rest)
        elif name == "ENV":
            stage.set(rest)
        elif name == "ENTRYPOINT":
            # An `ENTRYPOINT` discards the command of the base image.
            stage.entrypoint, stage.command = _program(rest), (stage.command or []) if stage.commanded else []
        elif name == "CMD":
            stage.command, stage.commanded = _program(rest), True
    return stage


def _expanded(text: str, variables: Mapping[str, str | None]) -> str | None:
    """Return *text* with its variables replaced by their values; None if a value is unknown."""
    found = substituted(_ALONE.sub(_DOLLAR, text), variables, keep=True)
    return None if "$" in found else found


def _program(rest: str) -> list[str]:
    try:
        return words_of(rest) if rest.startswith("[") else ["sh", "-c", rest]
    except ValueError:
        return ["sh", "-c", rest]


def _pairs(rest: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of `A=b C="d e"`, or of `A value`, where the value is the rest of the line."""
    name, value = (*rest.split(None, 1), "", "")[:2]
    if "=" in name:
        yield from ((key, text or "") for key, text in _assignments(rest))
    elif name:
        yield name, _QUOTED.sub(_bare, _QUOTED.sub(_without_variables, value.strip()))


def _assignments(rest: str) -> Iterator[tuple[str, str | None]]:
    """Yield the names and texts (None without a `=`) of `A=b C="d e" F`. Each `$` that is left in a text begins a variable."""
    for word in _words(rest):
        name, sign, text = word.partition("=")
        yield name, text if sign else None


def _words(rest: str) -> list[str]:
    text = _QUOTED.sub(_without_variables, rest)
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _without_variables(quoted: re.Match[str]) -> str:
    """Return the quoted text with a stand-in for each literal `$`: between single quotes, and after a backslash."""
    return quoted[0].replace("$" if quoted[0].startswith("'") else "\\$", _DOLLAR)


def _bare(quoted: re.Match[str]) -> str:
    text = quoted[0]
    return text[1:-1] if text.startswith("'") else re.sub(r"\\(.)", r"\1", text.removeprefix('"').removesuffix('"'))
