"""What Compose files name of other files, before Docker Compose opens them: none of it may lie outside of the project."""

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
COMPOSE, VARIABLES, OTHER = "compose", "variables", "other"
"""What a file is that is named."""
_REMOTE = re.compile(r"^(?:https?|ssh|git|oci)://|^git@|^github\.com/|\.git(?:#|$)")


class Named(NamedTuple):
    """A file or folder that a Compose file reads.

    Attributes:
        where: the key that names it.
        base: what is included only: the text that says where its own paths begin: of a folder if *moved*, else of a file there.
        known: whether the variables in its paths have the values that they have here.
    """

    where: str
    leaf: Leaf
    what: str
    base: Leaf | None = None
    moved: bool = False
    known: bool = True


class _Reading(NamedTuple):
    """A Compose file that is still to be read, the folder in which its paths begin, and its variables where they are known."""

    file: Path
    folder: Path
    variables: tuple[tuple[str, str], ...] | None


@dataclass
class ComposePaths:
    """What Compose files, and those that they include or extend, read of other files.

    Attributes:
        nodes: gets what each file holds, which nobody has to read again then.
        problems: what lies outside of *project*, or elsewhere on the network.
        beside: the `.env` beside the first file.
        variables: every file of variables that Compose reads, once; it need not be there.
    """

    project: Path
    environ: Mapping[str, str]
    nodes: dict[Path, Node | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    variables: dict[Path, None] = field(default_factory=dict)
    beside: Dotenv = field(default=NO_DOTENV, repr=False)
    _waiting: list[_Reading] = field(default_factory=list)

    def read(self, files: list[Path]) -> ComposePaths:
        """*files*, as one project: all paths in them begin in the folder of the first."""
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
            pass  # Compose says what is wrong with it
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
            if isinstance(begins, Path):  # what is wrong with it is a problem already
                folder = begins if named.moved else begins.parent
                self._waiting.append(_Reading(found, folder, self._passed_on(named, folder, variables)))
                if named.base and named.known:
                    self.variables[folder / ".env"] = None

    def _passed_on(self, named: Named, folder: Path, variables: Mapping[str, str] | None) -> tuple[tuple[str, str], ...] | None:
        """What is extended has the variables of who extends it; what is included has its own `.env` for those that are not there."""
        if variables is None or not named.known:
            return None
        return tuple(({**dotenv(folder, self.project, variables).variables, **variables} if named.base else variables).items())


def entries(node: Node | None) -> Iterator[tuple[Leaf, Node]]:
    """The pairs of a map, with what it merges (`<<`)."""
    for key, value in pairs(node):
        if key.text == "<<":
            merged = [value] if isinstance(value, Branch) and value.is_map else list(getattr(value, "items", []))
            for one in merged:
                yield from entries(one)
        else:
            yield key, value


def _place(text: str, folder: Path, project: Path, variables: Mapping[str, str] | None) -> Path | str:
    """The path that *text* names, or what is wrong with it."""
    path = substituted(text, variables) if variables is not None else text
    if "$" in path or path.startswith("~"):
        return f"'{text}': envctl cannot know this path before Compose has read the file"
    if _REMOTE.search(path):
        return f"'{text}' is on the network, and nothing is fetched to read a definition"
    return inside(path, folder, project, what=None)


def leaves(node: Node | None) -> Iterator[tuple[TreePath, Leaf]]:
    """Every text below *node* with its path; what aliases repeat stands once."""
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
    """Each file and folder that is read."""
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
    """What one item includes is one project: its paths begin beside its first file, or where it says; its variables may be its own."""
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
    """The texts of `text`, `[text, ...]`, `{key: text}` and `[{key: text}, ...]`; without *alone* those under *key* only."""
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
