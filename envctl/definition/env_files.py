"""The files of `env_file:`: their variables, and problems for lines that set none, or that another program would read differently."""

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
    """Return the variables of a file. A name without a value takes its value from *environ*, or is left out.

    A `$` stays, since only the definition is templated. Mistakes are ignored: `wrong_lines` reports them.

    Raises:
        OSError, FileRefused: the file cannot be read.
    """
    text = readable(path, root)
    found = {} if isinstance(text, Problem) else {each.key: each.value for each in bindings(text) if each.key}
    known = {key: environ.get(key) if value is None else value for key, value in found.items()}
    return {key: value for key, value in known.items() if value is not None}


def bare_names(path: Path, root: Path) -> list[str]:
    """Return the variables without a value, which take their values from the caller's environment.

    Raises:
        OSError, FileRefused: the file cannot be read.
    """
    text = readable(path, root)
    return [] if isinstance(text, Problem) else [each.key for each in bindings(text) if each.key and each.value is None]


def wrong_lines(path: Path, root: Path) -> Iterator[Problem]:
    """Yield a problem for each line that does not set a variable, since its author may have meant one.

    Raises:
        OSError, FileRefused: the file cannot be read.
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
    """Return the text of a variable file, or a problem if some programs that read such files would lose or change a variable.

    Raises:
        OSError, FileRefused: the file cannot be read.
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
    """Return *text* without the values in quotes, which may contain anything. Line breaks stay."""
    return _QUOTED.sub(lambda found: "=" + "\n" * found[0].count("\n"), text)


def bindings(text: str) -> Iterator[Binding]:
    """Yield what each line of a variable file sets, as python-dotenv parses it."""
    from dotenv.parser import parse_stream

    return parse_stream(StringIO(text))
