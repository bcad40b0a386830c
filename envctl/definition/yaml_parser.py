"""Parsing of YAML into nodes with line numbers, without recursion, so that a deeply nested document cannot end the process.

PyYAML's own composer recurses in C and crashes at 10,000 brackets; its parser, whose events are used here, does not. Plain
scalars follow YAML 1.2's core schema: `on`, `22:22` and dates are text. Numbers remember how they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events

MAX_DEPTH = 60
MAX_VALUES = 200_000
"""The most values of a document. Code that follows an alias counts the values below it each time."""
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_SCALAR_TAGS = ("str", "int", "float", "bool", "null")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
}
# No key needs a longer number, and its conversion would take quadratic time.
_MAX_DIGITS = 300

Scalar = str | int | float | bool | None


class YamlError(Exception):
    """The error for a wrong line, with a hint about what would be right."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


@dataclass(eq=False)
class Leaf:
    """A scalar: its value, its line (from 1), its text, and whether it is *plain*, that is, without quotes."""

    value: Scalar
    line: int
    text: str = ""
    plain: bool = True


@dataclass(eq=False)
class Branch:
    """A list, or a map, whose items are keys and values in turn; *line* counts from 1."""

    is_map: bool
    line: int
    items: list[Node] = field(default_factory=list)
    closed: bool = False


Node = Leaf | Branch


def pairs(node: Node | None) -> Iterator[tuple[Leaf, Node]]:
    """Yield the keys of a map that are scalars, with their values."""
    if isinstance(node, Branch) and node.is_map:
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            if isinstance(key, Leaf):
                yield key, value


def parse_nodes(text: str, *, any_tag: bool = False) -> Node | None:
    """Return the root node of the document; None if the document is empty. With *any_tag*, unknown tags are ignored.

    Raises:
        YamlError: *text* has a mistake. The error is about the first one, since nothing after it can be trusted.
    """
    builder = _Builder(any_tag)
    for event in _events(text):
        builder.take(event)
    return builder.root


def parse_documents(text: str) -> Iterator[Node]:
    """Yield the root nodes of all documents that are not empty.

    One parser is used for all, because its start takes longer than a short document.

    Raises:
        YamlError: *text* has a mistake; the documents before it have been yielded.
    """
    builder = _Builder(any_tag=False)
    for event in _events(text):
        if isinstance(event, events.DocumentEndEvent):
            if isinstance(builder.root, Branch) or (builder.root is not None and builder.root.value is not None):
                yield builder.root
            builder = _Builder(any_tag=False)
        else:
            builder.take(event)


def _events(text: str) -> Iterator[Any]:
    try:
        parser = _PARSER(text)
        try:
            while parser.check_event():
                yield parser.get_event()
        finally:
            parser.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if error.position is not None else 1
        raise YamlError(line, f"the character U+{_code(error.character):04X} is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from None
    except yaml.YAMLError as error:
        raise YamlError(1, str(error)) from None


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character[:1] or "\0")


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    mark = error.problem_mark or error.context_mark
    line = min(mark.line, text.count("\n")) if mark else 0
    content = (text.splitlines() or [""])[line : line + 1]
    if "nesting depth" in str(error.problem):  # since 6.0.4, PyYAML has a limit of its own
        return _too_deep(line + 1)
    return YamlError(line + 1, f"not valid YAML: {_message(error)}", _advice(content[0] if content else "", error, mark))


def _too_deep(line: int) -> YamlError:
    return YamlError(line, f"this is nested deeper than {MAX_DEPTH} levels")


def _message(error: yaml.MarkedYAMLError) -> str:
    start = error.context_mark
    context = f" {error.context}" + (f" (from line {start.line + 1})" if start else "") if error.context else ""
    return f"{error.problem}{context}"


def _advice(content: str, error: yaml.MarkedYAMLError, mark: Any) -> str:
    problem = error.problem or ""
    at = content[mark.column : mark.column + 1] if mark else ""
    if "\t" in content[: len(content) - len(content.lstrip())] or at == "\t":
        return "indent with spaces, not with tabs"
    if "${" in content and error.context and "flow" in error.context:
        return 'inside {} and [], quote what holds an expression: "${db.url}"'
    if at and at in "@`%&*!|>":
        return f"quote a text that begins with `{at}`"
    if "mapping values are not allowed" in problem:
        return "quote a text with a colon and a space in it, or check the indentation"
    if "expected key" in problem or "block end" in problem:
        return "check the indentation: the keys of one map begin in the same column"
    return ""


def too_many(line: int) -> YamlError:
    """Return the error for more than MAX_VALUES values."""
    return YamlError(line, f"there are more than {MAX_VALUES:,} values in this file, those of aliases counted each time")


class _Builder:
    """A builder of nodes from events, with an explicit stack of the lists and maps that are open."""

    def __init__(self, any_tag: bool) -> None:
        self._any_tag = any_tag
        self.root: Node | None = None
        self._open: list[Branch] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def take(self, event: Any) -> None:
        """Add what *event* describes to the nodes.

        Raises:
            YamlError: the document is not valid, or is too large.
        """
        line = event.start_mark.line + 1
        if isinstance(event, events.DocumentStartEvent) and self.root is not None:
            raise YamlError(line, "a second document begins here", "a definition is one document; remove the `---`")
        if isinstance(event, events.AliasEvent):
            self._add(self._alias(event, line))
        elif isinstance(event, events.ScalarEvent):
            if "\0" in event.value:
                raise YamlError(line, "a NUL character cannot be passed to a program", "remove the `\\0`")
            self._anchored(event, Leaf(self._scalar(event, line), line, event.value, event.implicit[0]))
        elif isinstance(event, events.SequenceStartEvent | events.MappingStartEvent):
            self._begin(event, line)
        elif isinstance(event, events.SequenceEndEvent | events.MappingEndEvent):
            self._open.pop().closed = True

    def _scalar(self, event: Any, line: int) -> Scalar:
        if event.tag == _STANDARD + "binary":  # a program that knows this tag would read other content than this text
            raise _unknown_tag(event.tag, line)
        return event.value if self._any_tag else _scalar(event, line)

    def _begin(self, event: Any, line: int) -> None:
        is_map = isinstance(event, events.MappingStartEvent)
        if not self._any_tag and event.tag not in (None, "!", _STANDARD + ("map" if is_map else "seq")):
            raise _unknown_tag(event.tag, line)
        if len(self._open) >= MAX_DEPTH:
            raise _too_deep(line)
        branch = Branch(is_map, line)
        self._anchored(event, branch)
        self._open.append(branch)

    def _alias(self, event: Any, line: int) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise YamlError(line, f"there is no anchor `&{event.anchor}` before this alias")
        if isinstance(node, Branch) and not node.closed:
            raise YamlError(line, f"`*{event.anchor}` refers to a value that contains it")
        return node

    def _anchored(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node)

    def _add(self, node: Node) -> None:
        is_key = self._open and self._open[-1].is_map and len(self._open[-1].items) % 2 == 0
        self._count += not is_key
        if self._count > MAX_VALUES:  # checked here, so that the rest is not parsed
            raise too_many(node.line)
        if self._open:
            self._open[-1].items.append(node)
        else:
            self.root = node


def _scalar(event: Any, line: int) -> Scalar:
    text: str = event.value
    if event.tag == "!":
        return text
    if event.tag is None:
        return plain_scalar(text) if event.implicit[0] and event.style in (None, "") else text
    kind = event.tag.removeprefix(_STANDARD)
    if kind not in _SCALAR_TAGS:
        raise _unknown_tag(event.tag, line)
    value = plain_scalar(text)
    if kind == "str":
        return text
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value).__name__.lower().removeprefix("written") != {"null": "nonetype"}.get(kind, kind):
        raise YamlError(line, f"{text!r} is not a {kind}, though the tag `!!{kind}` says so")
    return value


def _unknown_tag(tag: str, line: int) -> YamlError:
    shown = "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
    return YamlError(line, f"the tag `{shown}` has no meaning here", "remove it")


class WrittenInt(int):
    """An integer with an unusual notation: `0x1F`, `007`."""

    text: str


class WrittenFloat(float):
    """A number with an unusual notation: version `3.10` is not 3.1."""

    text: str


def plain_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS or text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return _as_written(int(text), text)
    if _BASED.fullmatch(text):
        return _as_written(int(text, 0), text)
    # Infinities stay text: no key accepts one, and JSON has none.
    if _FLOAT.fullmatch(text) and abs(number := float(text)) != float("inf"):
        return _as_written(number, text)
    return text


def written(value: float) -> str:
    """Return a number as it is written in the file."""
    return str(getattr(value, "text", value))


def _as_written(value: float, text: str) -> float:
    if str(value) == text:
        return value
    number = WrittenInt(value) if isinstance(value, int) else WrittenFloat(value)
    number.text = text
    return number
