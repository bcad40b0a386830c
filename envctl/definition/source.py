"""Reading of a definition file into a plain tree, with the file and line of each key, value and item.

Paths in a definition are relative to the file that contains them, and never lead outside the project.
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
"""The most bytes of a file, and the most characters of its values after aliases are expanded."""


@dataclass(frozen=True)
class Source:
    """The file and line of each part of a tree."""

    file: Path
    marks: Mapping[TreePath, tuple[Path, int]] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    """Services that no file contains, each with the name of the service of which it is a copy."""

    def at(self, path: TreePath) -> tuple[Path, int]:
        """Return the file and line of *path*, or of the nearest part that contains it."""
        path = self._written(path)
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return self.file, 1

    def problem(self, path: TreePath, message: str, hint: str = "") -> Problem:
        """Return a problem at the file and line of *path*."""
        file, line = self.at(path)
        return Problem(file, line, dotted(self._written(path)), message, hint)

    def _written(self, path: TreePath) -> TreePath:
        if self.copies and path[:1] == ("services",) and len(path) > 1:
            return ("services", self.copies.get(str(path[1]), path[1]), *path[2:])
        return path


@dataclass(frozen=True)
class Document:
    """The content of one file: its tree (None if it cannot be read), the places of its parts, and the problems in it."""

    tree: dict[str, Any] | None
    source: Source
    problems: tuple[Problem, ...] = ()


def dotted(path: TreePath) -> str:
    """Return *path* as messages show it: `services.db.port`."""
    return ".".join(map(str, path))


def displayed(file: Path) -> Path:
    """Return *file* as messages show it: relative to the working directory if it is below it."""
    try:
        return Path(os.path.abspath(file)).relative_to(Path.cwd())
    except (ValueError, OSError):
        return file


def read(file: Path, root: Path, *, what: str = "a definition") -> Document:
    """Read and parse *file*, which must be below *root*. Every mistake is listed in the document's problems; nothing is raised."""
    shown = displayed(file)
    text = _text(file, root, what)
    if isinstance(text, Problem):
        return Document(None, Source(shown), (text,))
    return parse(text, shown, what=what)


def parse(text: str, file: Path, *, what: str = "a definition") -> Document:
    """Parse *text*, the content of *file*. Every mistake is listed in the document's problems; nothing is raised."""
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
    """Return the value of a YAML *text* of any shape, and the places of its parts.

    Raises:
        YamlError: *text* has a mistake; the error is about the first one.
    """
    node = parse_nodes(text)
    return _read_node(node, file) if node is not None else (None, Source(file))


def parse_all(text: str, file: Path) -> Iterator[tuple[Any, Source]]:
    """Yield the value of each YAML document in *text* that is not empty, and the places of its parts.

    Raises:
        YamlError: *text* has a mistake; the documents before it have been yielded.
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
    """Return the text of a file's *content*, or a problem at the line that is not UTF-8 text."""
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
    """Conversion of nodes to plain values, which collects their places and problems."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.marks: dict[TreePath, tuple[Path, int]] = {}
        self.problems: list[Problem] = []
        self._count = self._characters = 0

    def value(self, node: Node, path: TreePath) -> Any:
        """Return the plain value of *node*, and record the places of its parts below *path*.

        Raises:
            YamlError: a key is not valid, or aliases make the value too large.
        """
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
            raise YamlError(key.line, f"the key {key.text!r} contains the control character U+{ord(control.group()):04X}", "remove it")
        return key.text

    def _merged(self, node: Node, path: TreePath) -> dict[str, tuple[int, Node]]:
        """Return the keys that `<<` merges. Of several maps, the first one wins, as YAML specifies."""
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
            raise YamlError(node.line, f"the aliases in this file expand to more than {MAX_BYTES:,} characters")


def _is_merge(key: Node) -> bool:
    return isinstance(key, Leaf) and key.plain and key.text == "<<"


def merge(base: Document, over: Document) -> Document:
    """Return *over* merged onto *base*. Maps are merged recursively, all else is replaced, and each part keeps its own place."""
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
    """Yield every leaf of a tree with its path. Empty maps and lists are leaves."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))
    else:
        yield path, value


def service_names(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the services in the tree of a definition."""
    services = tree.get("services")
    return tuple(services) if isinstance(services, dict) else ()


def value_at(tree: Any, path: TreePath) -> Any:
    """Return the value at *path*; None if it does not exist."""
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def map_texts(function: Callable[[str], Any], value: Any) -> Any:
    """Return a tree with *function* applied to each of its texts. Keys stay as they are."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_texts(function, item) for key, item in value.items()}
    return [map_texts(function, item) for item in value] if isinstance(value, list | tuple) else value


PathType = Literal["file", "folder", "file or folder"]


def inside(text: str, base: Path, project: Path, *, what: PathType | None) -> Path | str:
    """Return the path that *text* names, or an error message.

    Args:
        text: a path, relative to *base*, that must not lead out of *project*.
        what: the type that the path must have; with None, it need not exist.
    """
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
    """Return whether *path* leads out of *project*, also through symbolic links."""
    return not path.resolve().is_relative_to(project.resolve())


def _existing(path: Path, text: str, what: PathType) -> Path | str:
    if not path.exists():
        return f"there is no {what} '{text}'" + (" (a broken link)" if path.is_symlink() else _near(path))
    if path.is_dir() and what == "file":
        return f"'{text}' is a folder, but a file is expected"
    if not path.is_dir() and what == "folder":
        return f"'{text}' is a file, but a folder is expected"
    if not path.is_dir() and not path.is_file():
        return f"'{text}' is not a regular file"
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        return f"'{text}' cannot be read: permission denied"
    return path


def _near(path: Path) -> str:
    """Return a hint about a missing *path*: the first folder in it that does not exist, or an existing name that is similar."""
    missing = next(parent for parent in (path, *path.parents) if parent.parent.is_dir())
    if missing != path:
        return f" (the folder '{missing.name}' does not exist)"
    hint = did_you_mean(path.name, sorted(entry.name for entry in path.parent.iterdir()), limit=5)
    return f"; {hint}" if hint.startswith("did") else ""


def locate(tree: Mapping[str, object], text: str, at: TreePath) -> TreePath:
    """Return the path of the item directly below *at* that equals *text*; *at* if there is none.

    Items of a merged map may come from several files, and a path is relative to the file that contains it.
    """
    value = value_at(tree, at)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(((*at, key) for key, item in items if item == text), at)
