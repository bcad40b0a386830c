"""A definition's file -> a plain tree, and the file and line of each of its keys, values and items.

Paths in it are relative to the file they stand in, and never lead outside the project.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from envctl.definition.yaml_parser import MAX_VALUES, Branch, Leaf, Node, YamlError, parse_documents, parse_nodes, too_many
from envctl.errors import Problem, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
TreePath = tuple[str | int, ...]
MAX_BYTES = 5_000_000
"""Values after aliases are expanded: 500 services of 50 lines are 25,000."""


@dataclass(frozen=True)
class Source:
    """Where each part of a tree stands."""

    file: Path
    marks: Mapping[TreePath, tuple[Path, int]] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    """Services that stand in no file, and those that they are copies of."""

    def at(self, path: TreePath) -> tuple[Path, int]:
        """File and line of *path*, or of the nearest thing around it."""
        path = self._written(path)
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return self.file, 1

    def problem(self, path: TreePath, message: str, hint: str = "") -> Problem:
        file, line = self.at(path)
        return Problem(file, line, dotted(self._written(path)), message, hint)

    def _written(self, path: TreePath) -> TreePath:
        if self.copies and path[:1] == ("services",) and len(path) > 1:
            return ("services", self.copies.get(str(path[1]), path[1]), *path[2:])
        return path


@dataclass(frozen=True)
class Document:
    """One file: its tree (None where it could not be read), the places, and the mistakes."""

    tree: dict[str, Any] | None
    source: Source
    problems: tuple[Problem, ...] = ()


def dotted(path: TreePath) -> str:
    return ".".join(map(str, path))


def displayed(file: Path) -> Path:
    """*file* as messages show it: from the working directory where it lies below it."""
    try:
        return Path(os.path.abspath(file)).relative_to(Path.cwd())
    except (ValueError, OSError):
        return file


def read(file: Path, root: Path, *, what: str = "a definition") -> Document:
    """Read *file*, which lies below *root*; every mistake is in the document's problems, nothing is raised."""
    shown = displayed(file)
    text = _text(file, root, what)
    if isinstance(text, Problem):
        return Document(None, Source(shown), (text,))
    return parse(text, shown, what=what)


def parse(text: str, file: Path, *, what: str = "a definition") -> Document:
    """The document of a *text* that stands in *file*."""
    try:
        node = parse_nodes(text)
        if node is None or (isinstance(node, Leaf) and node.value is None):
            return _failed(file, 1, "the file is empty", f"{what} is a map of keys")
        if not isinstance(node, Branch) or not node.is_map:
            shape = "a list" if isinstance(node, Branch) else "a single value"
            return _failed(file, node.line, f"this is {shape}", f"{what} is a map: `key: value` lines")
        reading = _Reading(file)
        tree = reading.value(node, ())
    except YamlError as error:
        return _failed(file, error.line, error.message, error.hint)
    return Document(tree, Source(file, reading.marks), tuple(reading.problems))


def parse_data(text: str, file: Path) -> tuple[Any, Source]:
    """The value of a YAML *text* of any shape, and where its parts stand.

    Raises:
        YamlError: at its first mistake.
    """
    node = parse_nodes(text)
    return _read_node(node, file) if node is not None else (None, Source(file))


def parse_all(text: str, file: Path) -> Iterator[tuple[Any, Source]]:
    """The same of every document in *text* that is not empty.

    Raises:
        YamlError: at the first mistake; the documents before it have come.
    """
    for node in parse_documents(text):
        yield _read_node(node, file)


def _read_node(node: Node, file: Path) -> tuple[Any, Source]:
    reading = _Reading(file)
    tree = reading.value(node, ())
    for problem in reading.problems:
        raise YamlError(problem.line, problem.message, problem.hint)
    return tree, Source(file, reading.marks)


def _failed(file: Path, line: int, message: str, hint: str = "") -> Document:
    return Document(None, Source(file), (Problem(file, line, "", message, hint),))


def _text(file: Path, root: Path, what: str) -> str | Problem:
    shown = displayed(file)
    try:
        if file.is_dir():
            return Problem(shown, 1, "", "this is a folder", f"{what} is a file")
        content = read_file(file, root, largest=MAX_BYTES)
    except FileRefused as error:
        hint = f"{what} is an ordinary file of the project, of at most {MAX_BYTES // 1_000_000} MB"
        return Problem(shown, 1, "", f"the file is not read: {error}", hint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Problem(shown, 1, "", f"the file cannot be read: {reason}")
    return decoded(content, shown)


def decoded(content: bytes, shown: Path, what: str = "YAML in UTF-8 is expected") -> str | Problem:
    """The text of a file; a problem at its line where it is none."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(shown, 1, "", "the file is UTF-16", "save it as UTF-8")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        return Problem(shown, line, "", "the file is binary", what)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(shown, line, "", f"the byte 0x{content[error.start]:02X} is not valid UTF-8", "save the file as UTF-8")


class _Reading:
    """Nodes -> plain values, with the marks and mistakes on the way."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.marks: dict[TreePath, tuple[Path, int]] = {}
        self.problems: list[Problem] = []
        self._count = self._characters = 0

    def value(self, node: Node, path: TreePath) -> Any:
        self._count_one(node)
        self.marks.setdefault(path, (self._file, node.line))
        if isinstance(node, Leaf):
            return node.value
        if node.is_map:
            return self._map(node, path)
        return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]

    def _map(self, node: Branch, path: TreePath) -> dict[str, Any]:
        merged: dict[str, tuple[int, Node]] = {}
        own: dict[str, tuple[int, Node]] = {}
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            if _is_merge(key):
                merged = {**self._merged(value, path), **merged}
                continue
            name = self._key(key, path)
            if name in own:
                message = f"the key '{name}' occurs twice in one map"
                hint = f"first on line {own[name][0]}; remove or rename one"
                self.problems.append(Problem(self._file, key.line, dotted((*path, name)), message, hint))
            own[name] = (key.line, value)
        found = {}
        for name, (line, value) in {**merged, **own}.items():
            self.marks[(*path, name)] = (self._file, line)
            found[name] = self.value(value, (*path, name))
        return found

    def _key(self, key: Node, path: TreePath) -> str:
        if isinstance(key, Branch) or (key.value is None and not key.text):
            raise YamlError(key.line, f"a key under '{dotted(path)}' is not text" if path else "a key is not text")
        if control := _CONTROL.search(key.text):
            raise YamlError(key.line, f"the key {key.text!r} holds the control character U+{ord(control.group()):04X}", "remove it")
        return key.text

    def _merged(self, node: Node, path: TreePath) -> dict[str, tuple[int, Node]]:
        """What `<<` brings: the first of several maps wins, as YAML says."""
        maps = [node] if isinstance(node, Branch) and node.is_map else list(getattr(node, "items", [node]))
        found: dict[str, tuple[int, Node]] = {}
        for one in maps:
            if not isinstance(one, Branch) or not one.is_map:
                raise YamlError(one.line, "`<<` merges maps only", "`<<: *anchor` or `<<: [*one, *two]`")
            for key, value in zip(one.items[::2], one.items[1::2], strict=True):
                if _is_merge(key):
                    self._count_one(value)
                    found = {**self._merged(value, path), **found}
                else:
                    found.setdefault(self._key(key, path), (key.line, value))
        return found

    def _count_one(self, node: Node) -> None:
        self._count += 1
        self._characters += len(node.text) if isinstance(node, Leaf) else 0
        if self._count > MAX_VALUES:
            raise too_many(node.line)
        if self._characters > MAX_BYTES:
            raise YamlError(node.line, f"aliases make more than {MAX_BYTES:,} characters of this file")


def _is_merge(key: Node) -> bool:
    return isinstance(key, Leaf) and key.plain and key.text == "<<"


def merge(base: Document, over: Document) -> Document:
    """*over* on top of *base*: maps deeply, everything else replaced; each part keeps its own place."""
    replaced: set[TreePath] = set()
    tree = _merged_tree(base.tree or {}, over.tree or {}, (), replaced)
    kept = {path: mark for path, mark in base.source.marks.items() if not _within(path, replaced)}
    marks = {**kept, **over.source.marks}
    return Document(tree, Source(over.source.file, marks), (*base.problems, *over.problems))


def _merged_tree(base: Mapping[str, Any], over: Mapping[str, Any], path: TreePath, replaced: set[TreePath]) -> dict[str, Any]:
    found = dict(base)
    for key, value in over.items():
        below = (*path, key)
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged_tree(found[key], value, below, replaced)
        else:
            replaced.add(below)
            found[key] = value
    return found


def _within(path: TreePath, roots: Collection[TreePath]) -> bool:
    return any(path[:length] in roots for length in range(1, len(path) + 1))


def walk(value: Any, path: TreePath = ()) -> Iterator[tuple[TreePath, Any]]:
    """Every leaf of a tree with its path; empty maps and lists are leaves."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))
    else:
        yield path, value


def service_names(tree: Mapping[str, Any]) -> tuple[str, ...]:
    services = tree.get("services")
    return tuple(services) if isinstance(services, dict) else ()


def value_at(tree: Any, path: TreePath) -> Any:
    """What stands at *path*; None where there is nothing."""
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def map_texts(function: Callable[[str], Any], value: Any) -> Any:
    """A tree with *function* applied to each of its texts; keys stay."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_texts(function, item) for key, item in value.items()}
    return [map_texts(function, item) for item in value] if isinstance(value, list | tuple) else value


PathType = Literal["file", "folder", "file or folder"]


def inside(text: str, base: Path, project: Path, *, what: PathType | None) -> Path | str:
    """The path that *text* names, or a sentence about what is wrong with it; without *what* it need not exist."""
    if not text.strip() or "\0" in text:
        return "this is not a path"
    path = Path(os.path.normpath(base / text))
    try:
        if outside(path, project):
            return f"'{text}' is outside of the project {project}"
        return path if what is None else _existing(path, text, what)
    except (OSError, RuntimeError) as error:
        return f"'{text}' cannot be read: {getattr(error, 'strerror', None) or error}"


def outside(path: Path, project: Path) -> bool:
    """Whether *path* leads out of the project, through symbolic links too."""
    return not path.resolve().is_relative_to(project.resolve())


def _existing(path: Path, text: str, what: PathType) -> Path | str:
    if not path.exists():
        return f"there is no {what} '{text}'" + (" (a broken link)" if path.is_symlink() else _near(path))
    if path.is_dir() and what == "file":
        return f"'{text}' is a folder, and a file is expected"
    if not path.is_dir() and what == "folder":
        return f"'{text}' is a file, and a folder is expected"
    if not path.is_dir() and not path.is_file():
        return f"'{text}' is not a regular file"
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        return f"'{text}' cannot be read: permission denied"
    return path


def _near(path: Path) -> str:
    """Where the search went wrong: the first folder that is not there, or a name like it."""
    missing = next(parent for parent in (path, *path.parents) if parent.parent.is_dir())
    if missing != path:
        return f" (the folder '{missing.name}' is not there)"
    hint = did_you_mean(path.name, sorted(entry.name for entry in path.parent.iterdir()), limit=5)
    return f"; {hint}" if hint.startswith("did") else ""


def locate(tree: Mapping[str, object], text: str, at: TreePath) -> TreePath:
    """Where below *at* the *text* stands: a merged map's keys may come from several files."""
    value = value_at(tree, at)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(((*at, key) for key, item in items if item == text), at)
