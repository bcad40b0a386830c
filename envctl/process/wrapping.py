"""Wrap lines for people at the width of a terminal; any other reader gets each line unchanged."""

from __future__ import annotations

import os
import re
from typing import TextIO

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COLUMN = re.compile(r"^ +|(?<=\S) {2,}")
_MARK = re.compile(r"(?:\x1b\[\d+m)?(?:[✓✗→+x]|->)(?:\x1b\[0m)? ")
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_GAPS = 4
"""The minimum number of gaps in a row of a table; other lines have fewer."""
_COMMAND, _BLANK = re.compile(r"`[^`]*`"), "\1"
_WIDEST = 28
"""The columns in which the indented text may begin; gaps further right belong to the text."""
_VERBATIM = "    "
"""The beginning of a line of a log, which is never wrapped."""


def wrapped(line: str, stream: TextIO, *, verbatim: str = _VERBATIM) -> str:
    """Return *line* for *stream*: if it is too long for a terminal, its text continues below the place where it begins.

    A word that is longer than a line stays whole, and so does a command in backticks, so that it can be copied. Rows of tables are left to
    the terminal.
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
    shown = "\0" * len(COLOUR.sub("", head))  # as wide as the head, but without blanks
    rest = _COMMAND.sub(lambda found: found.group().replace(" ", _BLANK), line[begins:])
    text = wrap(shown + rest, width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False, expand_tabs=False)
    return head + "\n".join(text).removeprefix(shown).replace(_BLANK, " ")


def _width(stream: TextIO) -> int:
    """Return the width of the terminal in columns; 0 if the stream is not a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0
