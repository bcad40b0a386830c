"""Read the entries of a seed in YAML, JSON or JSONL, or in the step itself, one by one, each with its place.

JSON and JSONL files of any size are read in pieces; YAML is read as a whole, because it is written by hand and therefore small.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from envctl.definition.source import MAX_BYTES, parse_data
from envctl.definition.yaml_parser import YamlError, plain_scalar
from envctl.files.packed import plain_name
from envctl.plan.model import Step
from envctl.seeding import BadFile, texts

LARGEST = 64 << 20
"""The maximum number of characters of one entry; a longer entry means an unclosed bracket, so the rest need not be held in memory."""
KINDS = "it ends in .yaml, .yml, .json, .jsonl or .ndjson (also .gz, .zst)"


class Item(NamedTuple):
    """An entry: its place (file:line), its key if it is in a map, and its value."""

    where: str
    key: str | None
    value: Any


def items(step: Step, root: Path, *, spread: bool) -> Iterator[Item]:
    """Yield the entries of *step* in order.

    Args:
        spread: Whether each item of a list in a map of lists is an entry.

    Raises:
        BadFile: The data is malformed; the error has the first wrong place.
    """
    if not step.files:
        return _of_tree(step.inline, lambda path: step.where, spread)
    path = step.files[0]
    readers = {".jsonl": _lines, ".ndjson": _lines, ".json": _json, ".yaml": _yaml, ".yml": _yaml}
    read = readers.get(Path(plain_name(path)).suffix)
    if read is None:
        raise BadFile(f"this format is not known; {KINDS}")
    return read(path, root, spread)


def _of_tree(tree: Any, where: Callable[[tuple[str | int, ...]], str], spread: bool) -> Iterator[Item]:
    if isinstance(tree, list):
        yield from (Item(where((index,)), None, value) for index, value in enumerate(tree))
    elif isinstance(tree, dict):
        for key, value in tree.items():
            inner = enumerate(value) if spread and isinstance(value, list) else ()
            yield from (Item(where((key, index)), key, one) for index, one in inner)
            if not spread or not isinstance(value, list):
                yield Item(where((key,)), key, value)
    elif tree is not None:
        raise BadFile("this is a single value, but a map or a list is expected", 1)


def _yaml(path: Path, root: Path, spread: bool) -> Iterator[Item]:
    content = bytearray()
    for piece in texts(path, root):
        content += piece
        if len(content) > MAX_BYTES:
            raise BadFile(f"YAML of more than {MAX_BYTES // 1_000_000} MB is not read; JSONL may have any size")
    try:
        tree, source = parse_data(_decoded(bytes(content), 1), path)
    except YamlError as error:
        raise BadFile("; ".join(filter(None, (error.message, error.hint))), error.line) from None
    yield from _of_tree(tree, lambda at: "{}:{}".format(*source.at(at)), spread)


def _decoded(content: bytes, line: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _no_text(error, line) from None


def _no_text(error: UnicodeDecodeError, line: int) -> BadFile:
    return BadFile(f"the byte 0x{error.object[error.start]:02X} is not valid UTF-8", line + error.object.count(b"\n", 0, error.start))


def _lines(path: Path, root: Path, spread: bool) -> Iterator[Item]:
    for number, line in enumerate(_split(texts(path, root)), start=1):
        if line.strip():
            yield Item(f"{path}:{number}", None, _loaded(_decoded(line, number), number))


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = bytearray()
    for piece in chain(pieces, [b"\n"]):
        *whole, begun = piece.split(b"\n")
        for line in whole:
            yield bytes(rest + line)
            rest.clear()
        rest += begun
        if len(rest) > LARGEST:
            raise BadFile(f"a line of more than {LARGEST >> 20} MB")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' occurs twice in one map")
    return found


def _constant(word: str) -> Any:
    raise ValueError(f'{word} is not valid JSON; as text it is "{word}"')


# Numbers keep their spelling, because a number such as 1.10 may be loaded as text.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=plain_scalar, parse_int=plain_scalar, parse_constant=_constant)


def _loaded(text: str, line: int) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadFile(f"this is not valid JSON: {error.msg} (column {error.colno})", line + error.lineno - 1) from None
    except (ValueError, RecursionError) as error:
        raise BadFile(_words(error), line) from None


def _words(error: Exception) -> str:
    return "this is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _json(path: Path, root: Path, spread: bool) -> Iterator[Item]:
    reader = _Json(texts(path, root))
    first = reader.peek()
    if first == "[":
        yield from (Item(f"{path}:{line}", None, value) for line, value in reader.elements())
    elif first == "{":
        for line, key in reader.entries():
            if spread and reader.peek() == "[":
                yield from (Item(f"{path}:{line}", key, value) for line, value in reader.elements())
            else:
                yield Item(f"{path}:{line}", key, reader.value())
    else:
        raise BadFile("JSON with a map or a list is expected", reader.line)
    if reader.peek():
        raise reader.wrong("something follows after the end")


class _Json:
    """A JSON reader that holds only as much text as its largest entry needs."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.line = 1
        self._pieces, self._decoder = iter(pieces), codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False

    def wrong(self, message: str) -> BadFile:
        return BadFile(f"this is not valid JSON: {message}", self.line)

    def peek(self) -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        while True:
            rest = self._text[self._at :].lstrip(" \t\r\n")
            self._go(len(self._text) - len(rest))
            if rest or not self._more():
                return rest[:1]

    def elements(self) -> Iterator[tuple[int, Any]]:
        """Yield the line and value of each item of the list that begins here."""
        for _ in self._parts("[", "]"):
            line = self.line
            yield line, self.value()

    def entries(self) -> Iterator[tuple[int, str]]:
        """Yield the line and name of each key of the map that begins here. The caller reads the value before it requests the next key."""
        for _ in self._parts("{", "}"):
            line, key = self.line, self.value()
            if not isinstance(key, str):
                raise self.wrong("a key is a text in quotes")
            self._take(":")
            self.peek()
            yield line, key

    def _parts(self, begin: str, end: str) -> Iterator[None]:
        self._take(begin)
        if self.peek() != end:
            yield
            while self.peek() != end:
                self._take(",")
                self.peek()
                yield
        self._take(end)

    def _take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise self.wrong(f"a `{wanted}` is expected")
        self._go(self._at + 1)

    def value(self) -> Any:
        """Return the value that begins here."""
        tried = 0
        while True:
            # Parsing a long value again for each piece would take quadratic time.
            if self._ended or len(self._text) - self._at >= 2 * tried:
                tried = len(self._text) - self._at
                try:
                    value, end = _DECODER.raw_decode(self._text, self._at)
                    if end < len(self._text) or self._ended:
                        self._go(end)
                        return value
                except json.JSONDecodeError as error:
                    if self._ended or tried > LARGEST:
                        self._go(error.pos)
                        raise self.wrong(error.msg) from None
                except (ValueError, RecursionError) as error:
                    raise BadFile(_words(error), self.line) from None
            self._more()

    def _go(self, at: int) -> None:
        self.line += self._text.count("\n", self._at, at)
        self._at = at

    def _more(self) -> bool:
        """Read the next piece; return whether there was more text."""
        if self._ended:
            return False
        piece = next(self._pieces, None)
        self._ended = piece is None
        try:
            text = self._decoder.decode(piece or b"", self._ended)
        except UnicodeDecodeError as error:
            raise _no_text(error, self.line + self._text.count("\n", self._at)) from None
        self._text, self._at = self._text[self._at :] + text, 0
        return True
