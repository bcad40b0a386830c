"""Write what GitHub's runner reads: an annotation at the line of each mistake, evidence in a group, and a summary of the step."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envctl.errors import DefinitionError, EnvctlError, ServiceFailed
from envctl.session.mask import Mask

AT = re.compile(r"\b(?:failed at|in) (?P<file>[^\s:]+):(?P<line>\d+)")
"""Matches the file and line in a failed seed step's message. A host and port in a message must not match."""


def runs_here(environ: Mapping[str, str]) -> bool:
    """Return whether envctl runs in GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def errors(error: EnvctlError, mask: Mask) -> Iterator[str]:
    """Yield an annotation, as a command of the runner, for each mistake with a position in a file."""
    if isinstance(error, DefinitionError):
        for problem in (problem.masked(mask) for problem in error.problems):
            text = "; ".join(filter(None, [f"{problem.path}: {problem.message}" if problem.path else problem.message, problem.hint]))
            yield _error(str(problem.file), problem.line, text)
    elif isinstance(error, ServiceFailed) and (found := AT.search(error.message)):
        yield _error(found["file"], int(found["line"]), mask(error.message))


def _error(file: str, line: int, text: str) -> str:
    return f"::error file={_escaped(file, ',:')},line={line}::{_escaped(text)}"


def _escaped(text: str, also: str = "") -> str:
    for sign in ("%", "\r", "\n", *also):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def grouped(lines: Sequence[str], title: str) -> list[str]:
    """Return *lines* as a collapsed group. The runner ignores commands in them, because a service may have logged them."""
    token = secrets.token_hex(16)
    return [f"::group::{_escaped(title)}", f"::stop-commands::{token}", *lines, f"::{token}::", "::endgroup::"]


def summarise(environ: Mapping[str, str], title: str, lines: Sequence[str] = ()) -> None:
    """Add *title* and *lines* to the summary of the step. If the file cannot be written, nothing happens."""
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        fence = "`" * max([3, *(len(found) + 1 for line in lines for found in re.findall("`+", line))])
        block = [f"{fence}text", *lines, fence] if lines else []
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as stream:
            stream.write("\n".join([f"**envctl** {title}", "", *block, ""]))
