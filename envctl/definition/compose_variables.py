"""Checks of the variable files that Compose reads: lines that it would silently change or lose, and the places of its error messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from envctl.definition.env_files import RIGHT, readable, unquoted
from envctl.definition.source import displayed
from envctl.errors import Problem
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

_SAID = re.compile(r"(?:failed to read (?P<file>.+?): )?(?:line (?P<line>\d+): )?(?P<what>.+)")
_OPEN = "unterminated quoted value "
_NAMELESS = re.compile(r"^[ \t]*(?:export[ \t]+)?[=:]|^[ \t]*[^\s#=:][^#=:\n]*\Z", re.MULTILINE)
"""A line with a value but no name; also a bare name at the end of a file without a final newline, which Compose reads as a value."""
_TEMPLATE = re.compile(r'Invalid template: "(?P<text>.*)|required variable (?P<name>\w+) is missing', re.DOTALL)


def unfit(files: list[Path], project: Path) -> Iterator[Problem]:
    """Yield a problem for each of *files* that is not text, that programs read differently, or that has a variable without a name."""
    for file in files:
        try:
            text = readable(file, project)
        except (FileRefused, OSError) as error:
            yield Problem(displayed(file), 1, "", f"it cannot be read: {error}")
            continue
        outside = unquoted(text) if isinstance(text, str) else ""
        if isinstance(text, Problem):
            yield text
        elif nameless := _NAMELESS.search(outside):
            line = outside.count("\n", 0, nameless.start()) + 1
            yield Problem(
                displayed(file), line, "", "Compose would read this as a variable without a name", f"{RIGHT}; the value ends with its line"
            )


def complaint(said: str, files: list[Path], project: Path, ask: Callable[[Path], str]) -> Problem | None:
    """Return a problem at the file and line of the variable file that a message of Compose is about; None if it is about something else.

    Compose does not name the variable files of services, so Compose reads them one by one until the message is the same.

    Args:
        said: the error message of Compose.
        files: the variable files that Compose reads.
        ask: reads one file with Compose, and returns the message of Compose.
    """
    found = _SAID.fullmatch(said)
    if found is None:
        return None
    what = found["what"]
    for file in [Path(found["file"])] if found["file"] else files if found["line"] or _TEMPLATE.match(what) else []:
        alone = _SAID.fullmatch(said if found["file"] else ask(file))
        if alone is not None and alone["file"] and alone["what"] == what:
            text = read_file(file, project).decode("utf-8-sig")
            return Problem(displayed(file), _line(what, text, int(alone["line"] or 1)), "", what, RIGHT)
    return None


def _line(what: str, text: str, told: int) -> int:
    """Return the line where the mistake begins; *told*, the line that Compose reports, if it is not found.

    Compose reports the end of a text that it cannot parse, and no line at all for an expansion.
    """
    template = _TEMPLATE.match(what)
    begun = what.removeprefix(_OPEN) if what.startswith(_OPEN) else None
    if template is not None:
        begun = "${" + template["name"] if template["name"] else template["text"].rstrip('"').partition("\n")[0]
    for number, line in enumerate(text.splitlines() if begun else (), 1):
        if begun is not None and begun in line and not line.lstrip().startswith("#"):
            return number
    return told
