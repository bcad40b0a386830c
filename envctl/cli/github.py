"""What GitHub's runner reads: an annotation at the line of each mistake, evidence in a group, a summary of the step."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envctl.errors import DefinitionError, EnvctlError, ServiceFailed
from envctl.session.mask import Mask

AT = re.compile(r"\b(?:failed at|in) (?P<file>[^\s:]+):(?P<line>\d+)")
"""Where a seed says that it failed; an address where something was asked is no place in a file."""


def runs_here(environ: Mapping[str, str]) -> bool:
    return environ.get("GITHUB_ACTIONS") == "true"


def errors(error: EnvctlError, mask: Mask) -> Iterator[str]:
    """A command of the runner for each mistake that has a place in a file."""
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
    """*lines* folded away; whatever a service has logged among them gives the runner no orders."""
    token = secrets.token_hex(16)
    return [f"::group::{_escaped(title)}", f"::stop-commands::{token}", *lines, f"::{token}::", "::endgroup::"]


def summarise(environ: Mapping[str, str], title: str, lines: Sequence[str] = ()) -> None:
    """Adds to the summary of the step; that it cannot be written changes nothing."""
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        fence = "`" * max([3, *(len(found) + 1 for line in lines for found in re.findall("`+", line))])
        block = [f"{fence}text", *lines, fence] if lines else []
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as stream:
            stream.write("\n".join([f"**envctl** {title}", "", *block, ""]))
