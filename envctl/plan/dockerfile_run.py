"""The proposal of a `run:` for a service without one: the program that its Dockerfile starts, as a process on this machine."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path

from envctl.definition.dockerfile import LARGEST
from envctl.definition.dockerfile_syntax import instructions, words_of
from envctl.definition.models import Build
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file


def proposed_run(build: str | Build | None, context: Path, root: Path, port: int | None) -> str:
    """Return `run: ...`; an empty string if the Dockerfile starts nothing or cannot be read.

    Args:
        port: the port on which the program listens in its container; it becomes `${self.port}`.
    """
    if build is None:
        return ""
    name = (build.dockerfile if isinstance(build, Build) else None) or "Dockerfile"
    try:
        last = dict(instructions(read_file(context / name, root, largest=LARGEST).decode()))  # the last of two counts
    except (FileRefused, OSError, ValueError):
        return ""
    words = [*_words(last.get("ENTRYPOINT", "")), *_words(last.get("CMD", ""))]
    if not words:
        return ""
    text = _quoted(words)
    text = re.sub(rf"(?<![\w.]){port}(?![\w.])", "${self.port}", text) if port else text
    return "run: " + text.replace("0.0.0.0", "${self.bind}")


def _words(rest: str) -> list[str]:
    with suppress(ValueError):
        return words_of(rest)
    return []


def _quoted(words: list[str]) -> str:
    return " ".join(word if re.fullmatch(r"[\w.:/=@%+,-]+", word) else shlex.quote(word) for word in words)
