"""The program that a Dockerfile starts, as a `run:` that starts it as a process of this machine: proposed where none is said."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from envctl.definition.models import Build
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

LARGEST = 1_000_000


def proposed_run(build: str | Build | None, context: Path, root: Path, port: int | None) -> str:
    """`run: ...`; empty where the Dockerfile starts nothing, or cannot be read.

    Args:
        port: the one that the program listens on in its container: here it is `${self.port}`.
    """
    if build is None:
        return ""
    name = (build.dockerfile if isinstance(build, Build) else None) or "Dockerfile"
    try:
        last = _last_instructions(read_file(context / name, root, largest=LARGEST).decode())
    except (FileRefused, OSError, ValueError):
        return ""
    words = [*_words(last.get("ENTRYPOINT", "")), *_words(last.get("CMD", ""))]
    if not words:
        return ""
    text = _quoted(words)
    text = re.sub(rf"(?<![\w.]){port}(?![\w.])", "${self.port}", text) if port else text
    return "run: " + text.replace("0.0.0.0", "${self.bind}")


def _last_instructions(text: str) -> dict[str, str]:
    """Instruction to what stands behind it the last time, which is the one that counts; continued lines are joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    parts = (line.strip().partition(" ") for line in re.sub(r"\\[ \t]*\n", " ", lines).splitlines())
    return {name.upper(): rest.strip() for name, _, rest in parts}


def _words(rest: str) -> list[str]:
    """Of the form of a list, or of a shell's line."""
    try:
        found = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    except ValueError:
        return []
    return [str(word) for word in found]


def _quoted(words: list[str]) -> str:
    return " ".join(word if re.fullmatch(r"[\w.:/=@%+,-]+", word) else shlex.quote(word) for word in words)
