"""Files of `env_file:`: their variables, and every line of them that says none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.definition.source import decoded, displayed
from envctl.errors import Problem
from envctl.files.reading import read_file

if TYPE_CHECKING:
    from dotenv.parser import Binding

_RIGHT = "write NAME=value; a value with blanks, # or several lines stands between quotes"


def variables_of(path: Path, root: Path) -> Mapping[str, str]:
    """The variables that have a value; `$` stays, as only the definition is templated. Mistakes have been told before.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = _text(path, root)
    return {} if isinstance(text, Problem) else {each.key: each.value for each in _bindings(text) if each.key and each.value is not None}


def wrong_lines(path: Path, root: Path) -> Iterator[Problem]:
    """A problem for each line that is no variable, at that line: one of them may be a variable that would be lost.

    Raises:
        OSError, FileRefused: it cannot be read.
    """
    text = _text(path, root)
    if isinstance(text, Problem):
        yield text
        return
    for each in _bindings(text):
        if each.error:
            said = each.original.string
            line = each.original.line + len(said) - len(said.lstrip("\r\n"))
            yield Problem(displayed(path), line, "", "this line does not set a variable", _RIGHT)


def _text(path: Path, root: Path) -> str | Problem:
    return decoded(read_file(path, root), displayed(path), what="variables in UTF-8 are expected")


def _bindings(text: str) -> Iterator[Binding]:
    from dotenv.parser import parse_stream

    return parse_stream(StringIO(text))
