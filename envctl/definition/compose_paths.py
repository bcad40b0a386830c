"""What Compose files name of other files, before Docker Compose opens them: none of it may lie outside of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from envctl.definition.source import displayed, inside
from envctl.definition.yaml_parser import Branch, Leaf, Node, YamlError, pairs, parse_nodes
from envctl.errors import Problem
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?P<default>:?-[^{}$]*)?\}|(?P<bare>\w+))")
_REMOTE = re.compile(r"^(?:https?|ssh|git|oci)://|^git@|^github\.com/|\.git(?:#|$)")


def refused_paths(files: list[Path], project: Path, environ: Mapping[str, str]) -> Iterator[Problem]:
    """What the files, and those that they include or extend, name outside of *project*, or elsewhere on the network."""
    waiting, seen = list(files), set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        try:
            document = parse_nodes(read_file(file, project).decode("utf-8-sig"), any_tag=True)
            variables = {**_dotenv(file.parent, project), **environ}
        except FileRefused as error:
            yield Problem(displayed(file), 1, "", str(error))
            continue
        except (OSError, UnicodeDecodeError, YamlError):
            continue  # Compose says what is wrong with it
        for where, leaf, is_compose in _named(document):
            found = _place(leaf.text, file.parent, project, variables)
            if isinstance(found, str):
                yield Problem(displayed(file), leaf.line, where, found, "files that a Compose file reads lie in the project")
            elif is_compose and found.is_file():
                waiting.append(found)


def _dotenv(folder: Path, project: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        text = read_file(folder / ".env", project).decode("utf-8", "replace")
    except OSError:
        return {}
    return {key: value or "" for key, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}


def _place(text: str, folder: Path, project: Path, variables: Mapping[str, str]) -> Path | str:
    """The path that *text* names, or what is wrong with it."""
    path = _VARIABLE.sub(lambda found: _value(found, variables), text)
    if "$" in path:
        return f"'{text}': where this lies cannot be told before Compose reads it"
    if _REMOTE.search(path):
        return f"'{text}' is on the network, and nothing is fetched to read a definition"
    return inside(path, folder, project, what=None)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    default = found["default"]
    value = variables.get(found["braced"] or found["bare"])
    if default is None:
        return value or ""
    kept = value if default.startswith("-") else value or None
    return kept if kept is not None else default.lstrip(":").removeprefix("-")


def _named(document: Node | None) -> Iterator[tuple[str, Leaf, bool]]:
    """Key, place, and whether it is a Compose file itself, of each file and folder that is read."""
    for section, content in pairs(document):
        if section.text == "include":
            yield from (("include", leaf, True) for leaf in _texts(content, "path"))
            yield from (("include", leaf, False) for key in ("env_file", "project_directory") for leaf in _texts(content, key, False))
        elif section.text in ("configs", "secrets"):
            yield from ((section.text, leaf, False) for _, each in pairs(content) for leaf in _texts(each, "file", False))
        elif section.text == "services":
            for name, service in pairs(content):
                yield from ((f"services.{name.text}.{key}", leaf, is_compose) for key, leaf, is_compose in _of_service(service))


def _of_service(service: Node | None) -> Iterator[tuple[str, Leaf, bool]]:
    for key, value in pairs(service):
        if key.text in ("env_file", "label_file"):
            yield from ((key.text, leaf, False) for leaf in _texts(value, "path"))
        elif key.text == "extends":
            yield from ((key.text, leaf, True) for leaf in _texts(value, "file", False))
        elif key.text == "build":
            yield from ((key.text, leaf, False) for leaf in _texts(value, "context"))
        elif key.text == "<<":
            yield from _of_service(value)


def _texts(node: Node | None, key: str, alone: bool = True) -> Iterator[Leaf]:
    """The texts of `text`, `[text, ...]`, `{key: text}` and `[{key: text}, ...]`; without *alone* those under *key* only."""
    if isinstance(node, Leaf):
        if alone and node.value is not None:
            yield node
    elif isinstance(node, Branch) and node.is_map:
        for name, value in pairs(node):
            if name.text in (key, "<<"):
                yield from _texts(value, key, name.text == key)
    elif isinstance(node, Branch):
        for item in node.items:
            yield from _texts(item, key, alone)
