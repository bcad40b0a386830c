"""Files of `env_file:`: their variables, and every line of them that says none, or would say something else to another reader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.definition.source import decoded, displayed
from envctl.errors import Problem
from envctl.files.reading import read_file

if TYPE_CHECKING:
    from dotenv.parser import Binding

RIGHT = "write NAME=value; put a value with spaces, # or several lines in quotes"
_QUOTED = re.compile(r"""[=:][ \t]*(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)
_NAME = re.compile(r"\w[\w.-]*")


def variables_of(path: Path, root: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables; a bare name has its value in *environ*, or none. `$` stays, as only the definition is templated.

    Mistakes have been told before.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = readable(path, root)
    found = {} if isinstance(text, Problem) else {each.key: each.value for each in bindings(text) if each.key}
    known = {key: environ.get(key) if value is None else value for key, value in found.items()}
    return {key: value for key, value in known.items() if value is not None}


def bare_names(path: Path, root: Path) -> list[str]:
    """The variables whose values are the caller's.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = readable(path, root)
    return [] if isinstance(text, Problem) else [each.key for each in bindings(text) if each.key and each.value is None]


def wrong_lines(path: Path, root: Path) -> Iterator[Problem]:
    """A problem for each line that is no variable, at that line: one of them may be a variable that would be lost.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = readable(path, root)
    if isinstance(text, Problem):
        yield text
        return
    for each in bindings(text):
        if each.error or (each.key and not _NAME.fullmatch(each.key)):
            said = each.original.string
            line = each.original.line + len(said) - len(said.lstrip("\r\n"))
            yield Problem(displayed(path), line, "", "this line does not set a variable", RIGHT)


def readable(path: Path, root: Path) -> str | Problem:
    """The text of a file of variables; a problem where some of those who read such files would lose or change a variable.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = decoded(read_file(path, root), displayed(path), what="variables in UTF-8 are expected")
    if isinstance(text, Problem):
        return text
    outside = unquoted(text)
    if lone := re.search(r"\r(?!\r*\n)", outside):
        line = outside.count("\n", 0, lone.start()) + 1
        message = "a line ends with a carriage return alone, and what follows would be taken for a part of it"
        return Problem(displayed(path), line, "", message, "save it with the line endings of Unix or Windows (LF or CRLF)")
    return text


def unquoted(text: str) -> str:
    """*text* without what stands between quotes, which may be anything; its lines stay."""
    return _QUOTED.sub(lambda found: "=" + "\n" * found[0].count("\n"), text)


def bindings(text: str) -> Iterator[Binding]:
    """What each line of a file of variables sets, as python-dotenv reads it."""
    from dotenv.parser import parse_stream

    return parse_stream(StringIO(text))
