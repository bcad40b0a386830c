"""Lines for people, on a terminal broken at blanks; whatever else reads them gets each as it is."""

from __future__ import annotations

import os
import re
from typing import TextIO

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COLUMN = re.compile(r"^ +|(?<=\S) {2,}")
_MARK = re.compile(r"(?:\x1b\[\d+m)?(?:[✓✗→+x]|->)(?:\x1b\[0m)? ")
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_GAPS = 4
"""Between the cells of a table; other lines have fewer."""
_COMMAND, _BLANK = re.compile(r"`[^`]*`"), "\1"
_WIDEST = 28
"""Columns before a text; what lies further on is a part of it."""
_VERBATIM = "    "
"""So begins a line of a log, which stays as it was printed."""


def wrapped(line: str, stream: TextIO, *, verbatim: str = _VERBATIM) -> str:
    """*line* for *stream*: where it is too long for a terminal, it goes on below the beginning of its text.

    A word that is longer than all of a line stays whole, and so does a command in backticks, so that it can be copied. Rows of tables
    are left to the terminal.
    """
    width = _width(stream)
    is_row = len(_GAP.findall(line)) >= _GAPS
    if not width or len(COLOUR.sub("", line)) <= width or is_row or (verbatim and line.startswith(verbatim)):
        return line
    from textwrap import wrap

    begins = max((found.end() for found in _COLUMN.finditer(line[:_WIDEST])), default=0)
    if mark := _MARK.match(line, begins):
        begins = mark.end()
    head, below = line[:begins], " " * (len(COLOUR.sub("", line[:begins])) or 2)
    shown = "\0" * len(COLOUR.sub("", head))  # as wide as the head, and no blank
    rest = _COMMAND.sub(lambda found: found.group().replace(" ", _BLANK), line[begins:])
    text = wrap(shown + rest, width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False, expand_tabs=False)
    return head + "\n".join(text).removeprefix(shown).replace(_BLANK, " ")


def _width(stream: TextIO) -> int:
    """Columns of the terminal; 0 where it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0
