"""What Compose files name of other files, before Docker Compose opens them: none of it may lie outside of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from envctl.definition.source import MAX_BYTES, TreePath, displayed, inside
from envctl.definition.yaml_parser import Branch, Leaf, Node, YamlError, pairs, parse_nodes
from envctl.errors import Problem
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

MAX_DOTENV = 1_000_000
"""Bytes."""
UNREAD, MOVED = "(all of it)", "include.project_directory"
COMPOSE, VARIABLES, OTHER = "compose", "variables", "other"
"""What a file is that is named."""
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?:(?P<sign>:?[-?])(?P<word>[^{}$]*))?\}|(?P<bare>\w+))")
_REMOTE = re.compile(r"^(?:https?|ssh|git|oci)://|^git@|^github\.com/|\.git(?:#|$)")


def refused_paths(
    files: list[Path], project: Path, environ: Mapping[str, str], nodes: dict[Path, Node | None] | None = None
) -> Iterator[Problem]:
    """What the files, and those that they include or extend, name outside of *project*, or elsewhere on the network.

    Args:
        nodes: gets what each file holds, which nobody has to read again then.
    """
    waiting: list[tuple[Path, bool]] = [(file, True) for file in files]
    seen: set[Path] = set()
    while waiting:
        file, variables_known = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        try:
            document = parse_nodes(read_file(file, project, largest=MAX_BYTES).decode("utf-8-sig"), any_tag=True)
            variables = {**_dotenv(file.parent, project), **environ} if variables_known else None
        except FileRefused as error:
            yield Problem(displayed(file), 1, "", str(error))
            continue
        except OSError:
            continue  # Compose says what is wrong with it
        except (UnicodeDecodeError, YamlError) as error:
            yield Problem(displayed(file), getattr(error, "line", 1), UNREAD, f"what it names cannot be checked: {error}")
            continue
        if nodes is not None:
            nodes[file] = document
        others = any(key.text == "include" and _own_variables(value) for key, value in entries(document))
        for where, leaf, what in _named(document):
            if where == MOVED:
                yield Problem(displayed(file), leaf.line, where, "`project_directory` moves the paths of what is included", "leave it out")
                continue
            found = _place(leaf.text, file.parent, project, variables)
            if isinstance(found, str):
                yield Problem(displayed(file), leaf.line, where, found, "files that a Compose file reads must lie in the project")
            elif what == COMPOSE and found.is_file():
                waiting.append((found, variables_known and not (others and where == "include")))


def files_of_variables(files: list[Path], project: Path, environ: Mapping[str, str], nodes: Mapping[Path, Node | None]) -> Iterator[Path]:
    """Every file of variables that is there and that Compose reads, once; *nodes*: what `refused_paths` has found nothing wrong with."""
    found = {files[0].parent / ".env": None}
    for file, document in nodes.items():
        variables = {**_dotenv(file.parent, project), **environ}
        others = any(key.text == "include" and _own_variables(value) for key, value in entries(document))
        for where, leaf, what in _named(document):
            path = _place(leaf.text, file.parent, project, variables)
            if isinstance(path, Path) and what == VARIABLES:
                found[path] = None
            elif isinstance(path, Path) and where == "include" and not others:
                found[path.parent / ".env"] = None
    yield from filter(Path.is_file, found)


def _own_variables(include: Node) -> bool:
    """Whether what is included gets variables of its own, from a file."""
    return any(True for _ in texts(include, "env_file", False))


def entries(node: Node | None) -> Iterator[tuple[Leaf, Node]]:
    """The pairs of a map, with what it merges (`<<`)."""
    for key, value in pairs(node):
        if key.text == "<<":
            merged = [value] if isinstance(value, Branch) and value.is_map else list(getattr(value, "items", []))
            for one in merged:
                yield from entries(one)
        else:
            yield key, value


def _dotenv(folder: Path, project: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        text = read_file(folder / ".env", project, largest=MAX_DOTENV).decode("utf-8", "replace")
    except OSError:
        return {}
    return {key: value or "" for key, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}


def _place(text: str, folder: Path, project: Path, variables: Mapping[str, str] | None) -> Path | str:
    """The path that *text* names, or what is wrong with it."""
    path = _VARIABLE.sub(lambda found: _value(found, variables), text) if variables is not None else text
    if "$" in path or path.startswith("~"):
        return f"'{text}': where this lies cannot be told before Compose reads it"
    if _REMOTE.search(path):
        return f"'{text}' is on the network, and nothing is fetched to read a definition"
    return inside(path, folder, project, what=None)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    value, sign = variables.get(found["braced"] or found["bare"]), found["sign"] or ""
    if value is None or (not value and sign.startswith(":")):
        return str(found["word"]) if sign.endswith("-") else ""
    return value


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


def _named(document: Node | None) -> Iterator[tuple[str, Leaf, str]]:
    """Key and place of each file and folder that is read, and what it is."""
    for section, content in entries(document):
        if section.text == "include":
            yield from (("include", leaf, COMPOSE) for leaf in texts(content, "path"))
            yield from (("include", leaf, VARIABLES) for leaf in texts(content, "env_file", False))
            yield from ((MOVED, leaf, OTHER) for leaf in texts(content, "project_directory", False))
        elif section.text in ("configs", "secrets"):
            yield from ((section.text, leaf, OTHER) for _, each in entries(content) for leaf in texts(each, "file", False))
        elif section.text == "services":
            for name, service in entries(content):
                yield from ((f"services.{name.text}.{key}", leaf, what) for key, leaf, what in _of_service(service))


def _of_service(service: Node | None) -> Iterator[tuple[str, Leaf, str]]:
    for key, value in entries(service):
        if key.text in ("env_file", "label_file"):
            yield from ((key.text, leaf, VARIABLES) for leaf in texts(value, "path"))
        elif key.text == "extends":
            yield from ((key.text, leaf, COMPOSE) for leaf in texts(value, "file", False))
        elif key.text == "build":
            yield from ((key.text, leaf, OTHER) for leaf in texts(value, "context"))


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
