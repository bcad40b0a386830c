r"""Find the places in a file where psql sees a `\connect` command; one in a string literal, in a comment or in data is no command.

Statements and data are skipped with one regular-expression search each, as far as possible; only the rest is read token by token.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator

CONNECT = re.compile(rb"\\c(?:onnect)?(?![^\s;\\])")
_COPY = re.compile(rb"\\?copy\b.*\bfrom\s+(?:p?stdin)\b", re.IGNORECASE | re.DOTALL)
_E = rb"(?<=(?<![\w$\x80-\xff])[eE])"
_TEXT = rb"'(?<![eE]')[^']*'|'(?<=[\w$\x80-\xff][eE]')[^']*'|" + _E + rb"""'[^\\']*(?:(?:\\.|'')[^\\']*){0,999}'(?!')|"[^"]*\""""
_PLAIN = rb"""[^'"\\$;/\-]+|""" + _TEXT + rb"|-(?!-)|/(?!\*)"
# The number of repetitions is limited because each takes memory until the match is complete.
_TO_ITS_END = re.compile(rb"(?:" + _PLAIN + rb"){1,999}", re.DOTALL)
_AND_OTHERS = re.compile(rb"(?:" + _PLAIN + rb"|;(?!\s*(?:[cC][oO][pP][yY]\b|--|/\*|[\\;]|\Z))){1,999}", re.DOTALL)
_COPY_OR_NOTHING = re.compile(rb"\s*(?:[cC][oO][pP][yY]\b|\Z)")
_TOKEN = re.compile(rb"--|/\*|;|\\[;:]|\\|(" + _E + rb"""')|'|"|(?<![\w$\x80-\xff])\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$""")
_LITERAL = re.compile(rb"""'[^']*'?|"[^"]*"?""")
_ESCAPED = re.compile(rb"(?:[^\\']+|\\.|''){1,999}", re.DOTALL)
_COMMENTED = re.compile(rb"/\*|\*/")
_BLANK = b"\xef\xbb\xbf \t\r\n\f\v"
_LONGEST = 1 << 16
"""The number of bytes of a statement that are kept to decide whether data follows the statement."""
_NAME = re.compile(rb"\\([^\s\\]*)")
_ARGUMENTS = re.compile(rb"""(?:[^\\'"`]+|'[^'\\]*(?:\\.[^'\\]*)*'|"[^"]*"|`[^`]*`)*""")
_PROGRAM = re.compile(rb"\s*(?:\([^)]*\)\s*)?\|")
_SENDING = {b"g", b"gx", b"gset", b"gexec", b"gdesc", b"crosstabview", b"watch", b"parse", b"sendpipeline"}
_FORGETTING = {b"r", b"reset"}
_WITH_THE_LINE = {b"!", b"copy", b"h", b"help", b"ef", b"ev", b"sf", b"sf+", b"sv", b"sv+"}
_WITH_A_PROGRAM = {b"g", b"gx", b"o", b"out", b"w", b"write"}

Places = Generator[tuple[int, bool], None, int]


class Reading:
    """The state of reading a file piece by piece; each piece ends at a line end."""

    def __init__(self) -> None:
        self._inside, self._depth = b"", 0
        self._statement = b""
        """The start of the current statement, without string literals; enough to tell whether it is COPY, or whether one has begun."""
        self._data = 0
        """The number of data blocks that begin with the next line."""

    def connects(self, text: bytes) -> Iterator[tuple[int, bool]]:
        r"""Yield the position of each `\connect` in *text*, and whether another command precedes it on its line.

        A `\connect` after an unfinished statement is left out, because no check can be inserted in the middle of a statement.
        """
        at = 0
        while at < len(text):
            if self._data:
                at = self._behind_data(text, at)
            end = len(text)
            while at < end:
                at = yield from self._next(text, at, end)
                if self._data and end == len(text):  # psql, too, reads the rest of this line after the data
                    end = _line_end(text, at - 1)

    def _behind_data(self, text: bytes, at: int) -> int:
        while self._data and at < len(text):
            if not text.startswith(b"\\.", at):
                at = text.find(b"\n\\.", at) + 1 or len(text)
            line, at = at, _line_end(text, at)
            self._data -= text[line:at].rstrip(b"\r\n") == b"\\."
        return at

    def _next(self, text: bytes, at: int, end: int) -> Places:
        """Return the position after the next token: the end of a string or comment, the end of skippable text, or a single token."""
        if self._inside:
            return self._leave(text, at, end)
        if (skipped := self._skip(text, at, end)) > at:
            return skipped
        token = _TOKEN.match(text, at, end)
        if token is None:  # a `$` that starts no dollar-quoted string
            self._note(b"$")
            return at + 1
        if token.group() == b"\\":
            return (yield from self._commands(text, at, _line_end(text, at)))
        if token.group() == b"--":
            return _line_end(text, at)
        self._enter(b"e'" if token[1] else token.group())
        return token.end()

    def _skip(self, text: bytes, at: int, end: int) -> int:
        copy = self._may_be_copy if self._statement else bool(_COPY_OR_NOTHING.match(text, at, end))
        found = (_TO_ITS_END if copy else _AND_OTHERS).match(text, at, end)
        if found is None:
            return at
        self._note(found.group().lstrip(_BLANK) if not self._statement else found.group())
        return found.end()

    @property
    def _may_be_copy(self) -> bool:
        return b"copy".startswith(self._statement[:4].lower())

    def _note(self, more: bytes) -> None:
        if not self._statement or (self._may_be_copy and len(self._statement) < _LONGEST):
            self._statement += more[:_LONGEST]

    def _enter(self, token: bytes) -> None:
        if token == b";":
            self._send()
        elif not token.startswith(b"\\"):  # `\;` does not send the statement yet
            self._inside, self._depth = token, 1
            if token != b"/*":
                self._note(b"''")
            elif self._statement:
                self._note(b" ")

    def _send(self) -> None:
        self._data += _takes_data(self._statement)
        self._statement = b""

    def _leave(self, text: bytes, at: int, end: int) -> int:
        """Return the position after the end of the open string or comment, or *end* if it does not end before."""
        if self._inside == b"/*":
            return self._leave_comment(text, at, end)
        if self._inside == b"e'":
            return self._leave_escaped(text, at, end)
        found = text.find(self._inside, at, end)
        if found < 0:
            return end
        at, self._inside = found + len(self._inside), b""
        return at

    def _leave_escaped(self, text: bytes, at: int, end: int) -> int:
        while found := _ESCAPED.match(text, at, end):
            at = found.end()
        if not text.startswith(b"'", at, end):
            return end
        self._inside = b""
        return at + 1

    def _leave_comment(self, text: bytes, at: int, end: int) -> int:
        for found in _COMMENTED.finditer(text, at, end):
            self._depth += 1 if found.group() == b"/*" else -1
            if not self._depth:
                self._inside = b""
                return found.end()
        return end

    def _commands(self, text: bytes, at: int, end: int) -> Places:
        """Read psql commands up to the end of the line, or up to the `\\` after which SQL continues; return the position there."""
        behind = False
        while (name := _NAME.match(text, at, end)) is not None and name[1]:
            if CONNECT.match(text, at) and not self._statement:
                yield at, behind
            self._obey(name[1], text[at:end])
            arguments = _ARGUMENTS.match(text, name.end(), end)
            if arguments is None or _takes_the_line(name[1], text[name.end() : end]):
                return end
            at, behind = arguments.end(), True
            if text.startswith(b"\\\\", at, end):
                return at + 2
        return end

    def _obey(self, name: bytes, line: bytes) -> None:
        if name in _SENDING:
            self._send()
        elif name in _FORGETTING:
            self._statement = b""
        elif name == b"copy":
            self._data += _takes_data(line)


def _takes_data(statement: bytes) -> bool:
    return bool(_COPY.match(_LITERAL.sub(b"''", statement)))


def _takes_the_line(name: bytes, rest: bytes) -> bool:
    return name in _WITH_THE_LINE or bool(name in _WITH_A_PROGRAM and _PROGRAM.match(rest))


def _line_end(text: bytes, at: int) -> int:
    return text.find(b"\n", at) + 1 or len(text)
