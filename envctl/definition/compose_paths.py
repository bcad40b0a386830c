"""The files that Compose files name, checked before Docker Compose opens them: none may be outside of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from envctl.definition.compose_dotenv import NO_DOTENV, Dotenv, dotenv, substituted
from envctl.definition.source import MAX_BYTES, TreePath, decoded, displayed, inside
from envctl.definition.yaml_parser import Branch, Leaf, Node, YamlError, pairs, parse_nodes
from envctl.errors import Problem
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

UNREAD = "(all of it)"
"""The path in a problem about a Compose file that cannot be parsed."""
COMPOSE, VARIABLES, OTHER = "compose", "variables", "other"
"""The types of files that a Compose file names."""
_REMOTE = re.compile(r"^(?:https?|ssh|git|oci)://|^git@|^github\.com/|\.git(?:#|$)")


class Named(NamedTuple):
    """A file or folder that a Compose file names.

    Attributes:
        where: the path of the key that names the file.
        leaf: the text that names the file.
        what: COMPOSE, VARIABLES or OTHER.
        base: for an included file, the text with the folder (if *moved*) or with a file in the folder to which its paths are relative.
        known: whether variables inside the named file have the same values as in the Compose file that names it.
    """

    where: str
    leaf: Leaf
    what: str
    base: Leaf | None = None
    moved: bool = False
    known: bool = True


class _Reading(NamedTuple):
    """A Compose file that is still to be read, the folder to which its paths are relative, and its variables (None if unknown)."""

    file: Path
    folder: Path
    variables: tuple[tuple[str, str], ...] | None


@dataclass
class ComposePaths:
    """The files that Compose files name, and those that the included and extended files name.

    Attributes:
        nodes: gets the content of each Compose file, so that no file is parsed twice.
        problems: the files that cannot be read, and the paths that are outside of *project* or on the network.
        beside: the `.env` beside the first file.
        variables: every variable file that Compose reads, once; it may not exist.
    """

    project: Path
    environ: Mapping[str, str]
    nodes: dict[Path, Node | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    variables: dict[Path, None] = field(default_factory=dict)
    beside: Dotenv = field(default=NO_DOTENV, repr=False)
    _waiting: list[_Reading] = field(default_factory=list)

    def read(self, files: list[Path]) -> ComposePaths:
        """Read *files* as one project, and return self. All paths in them are relative to the folder of the first file."""
        self.beside = dotenv(files[0].parent, self.project, self.environ)
        variables = tuple({**self.beside.variables, **self.environ}.items())
        self._waiting = [_Reading(file, files[0].parent, variables) for file in files]
        self.variables[files[0].parent / ".env"] = None
        seen: set[_Reading] = set()
        while self._waiting:
            reading = self._waiting.pop()
            if reading not in seen:
                seen.add(reading)
                self._read(reading)
        return self

    def _read(self, reading: _Reading) -> None:
        try:
            text = decoded(read_file(reading.file, self.project, largest=MAX_BYTES), displayed(reading.file))
            document = None if isinstance(text, Problem) else parse_nodes(text, any_tag=True)
        except FileRefused as error:
            self.problems.append(Problem(displayed(reading.file), 1, "", str(error)))
        except OSError:
            pass  # Compose reports what is wrong with the file
        except YamlError as error:
            self.problems.append(Problem(displayed(reading.file), error.line, UNREAD, error.message, error.hint))
        else:
            if isinstance(text, Problem):
                self.problems.append(text._replace(path=UNREAD))
                return
            self.nodes[reading.file] = document
            variables = None if reading.variables is None else dict(reading.variables)
            for named in _named(document):
                self._follow(named, reading, variables)

    def _follow(self, named: Named, reading: _Reading, variables: Mapping[str, str] | None) -> None:
        found = _place(named.leaf.text, reading.folder, self.project, variables)
        if isinstance(found, str):
            hint = "files that a Compose file reads must lie in the project"
            self.problems.append(Problem(displayed(reading.file), named.leaf.line, named.where, found, hint))
        elif named.what == VARIABLES:
            self.variables[found] = None
        elif named.what == COMPOSE and found.is_file():
            begins = _place(named.base.text, reading.folder, self.project, variables) if named.base else found
            if isinstance(begins, Path):  # otherwise, a problem reports it already
                folder = begins if named.moved else begins.parent
                self._waiting.append(_Reading(found, folder, self._passed_on(named, folder, variables)))
                if named.base and named.known:
                    self.variables[folder / ".env"] = None

    def _passed_on(self, named: Named, folder: Path, variables: Mapping[str, str] | None) -> tuple[tuple[str, str], ...] | None:
        """Return the variables for the file that *named* names; None if they are unknown.

        An extended file has the variables of the file that extends it. An included file adds those of the `.env` in its folder.
        """
        if variables is None or not named.known:
            return None
        return tuple(({**dotenv(folder, self.project, variables).variables, **variables} if named.base else variables).items())


def entries(node: Node | None) -> Iterator[tuple[Leaf, Node]]:
    """Yield the keys and values of a map, including those that it merges with `<<`."""
    for key, value in pairs(node):
        if key.text == "<<":
            merged = [value] if isinstance(value, Branch) and value.is_map else list(getattr(value, "items", []))
            for one in merged:
                yield from entries(one)
        else:
            yield key, value


def _place(text: str, folder: Path, project: Path, variables: Mapping[str, str] | None) -> Path | str:
    """Return the path that *text* names, or an error message."""
    path = substituted(text, variables) if variables is not None else text
    if "$" in path or path.startswith("~"):
        return f"'{text}': envctl cannot know this path before Compose has read the file"
    if _REMOTE.search(path):
        return f"'{text}' is on the network, and nothing is fetched to read a definition"
    return inside(path, folder, project, what=None)


def leaves(node: Node | None) -> Iterator[tuple[TreePath, Leaf]]:
    """Yield every text below *node* with its path. A list or map that aliases repeat is visited once."""
    waiting: list[tuple[TreePath, Node]] = [] if node is None else [((), node)]
    seen: set[int] = set()
    while waiting:
        path, each = waiting.pop()
        if isinstance(each, Leaf):
            yield path, each
        elif id(each) not in seen:
            seen.add(id(each))
            if each.is_map:
                waiting += [
                    ((*path, getattr(key, "text", "?")), value) for key, value in zip(each.items[::2], each.items[1::2], strict=True)
                ]
            else:
                waiting += [((*path, index), item) for index, item in enumerate(each.items)]


def _named(document: Node | None) -> Iterator[Named]:
    """Yield each file and folder that a Compose file names."""
    for section, content in entries(document):
        if section.text == "include":
            for one in content.items if isinstance(content, Branch) and not content.is_map else [content]:
                yield from _of_include(one)
        elif section.text in ("configs", "secrets"):
            yield from (Named(section.text, leaf, OTHER) for _, each in entries(content) for leaf in texts(each, "file", False))
        elif section.text == "services":
            for name, service in entries(content):
                yield from (named._replace(where=f"services.{name.text}.{named.where}") for named in _of_service(service))


def _of_include(include: Node | None) -> Iterator[Named]:
    """Yield the files that one item of `include` names.

    The files of an item are one project: their paths are relative to the folder of the first file, or to `project_directory`, and
    the item may name variable files of its own.
    """
    paths, own = list(texts(include, "path")), list(texts(include, "env_file", False))
    moved = next(texts(include, "project_directory", False), None)
    yield from (Named("include", leaf, COMPOSE, moved or paths[0], moved is not None, not own) for leaf in paths)
    yield from (Named("include", leaf, VARIABLES) for leaf in own)
    if moved is not None:
        yield Named("include.project_directory", moved, OTHER)


def _of_service(service: Node | None) -> Iterator[Named]:
    for key, value in entries(service):
        if key.text in ("env_file", "label_file"):
            yield from (Named(key.text, leaf, VARIABLES) for leaf in texts(value, "path"))
        elif key.text == "extends":
            yield from (Named(key.text, leaf, COMPOSE) for leaf in texts(value, "file", False))
        elif key.text == "build":
            yield from (Named(key.text, leaf, OTHER) for leaf in texts(value, "context"))


def texts(node: Node | None, key: str, alone: bool = True) -> Iterator[Leaf]:
    """Yield the texts of `text`, `[text, ...]`, `{key: text}` and `[{key: text}, ...]`; without *alone*, those under *key* only."""
    if isinstance(node, Leaf):
        if alone and node.value is not None:
            yield node
    elif isinstance(node, Branch) and node.is_map:
        for name, value in entries(node):
            if name.text == key:
                yield from texts(value, key)
    elif isinstance(node, Branch):
        for item in node.items:
            yield from texts(item, key, alone)
