"""Places of Docker Compose's error messages in Compose files: a message names services, keys and values, but seldom a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envctl.definition.compose_paths import entries, leaves
from envctl.definition.yaml_parser import Leaf, Node

Place = tuple[Path, int]
_LINE = re.compile(r"\bline (\d+): ")
_PATH = re.compile(r"\b(services|networks|volumes|configs|secrets)(?:\.|\[)([\w.\]-]*\w)")
"""A path of keys in a message: `services.a.image` or `services[a].image`."""
_SERVICE = re.compile(r"service \"([^\"]+)\"|cycle detected: (\S+) ->")
_KEY = re.compile(r"[Aa]dditional property (\S+)")
_VALUE = re.compile(r"undefined \w+ \"?([\w.-]+)|(/[^\s:]+)|[Ii]nvalid \w+: ([^\s:]+)")
"""A value in a message: a name that is not defined, a file, or a value in a wrong format."""


def place_of(said: str, nodes: Mapping[Path, Node | None], first: Path) -> Place:
    """Return the file and line that an error message is about; if they are not found, *first* and the line in the message, or line 1.

    Args:
        said: the error message of Docker Compose.
        nodes: the content of each Compose file.
        first: the first Compose file.
    """
    documents = [(file, node) for file, node in nodes.items() if node is not None]
    for file, node in documents:
        if (found := _by_path(said, node)) is not None:
            return file, found
    for file, node in documents:
        if (line := _by_value(said, node)) is not None:
            return file, line
    told = _LINE.search(said)
    return first, int(told[1]) if told else 1


def _by_path(said: str, document: Node) -> int | None:
    """Return the line of the path of keys, or of the service, in a message; if possible, that of the wrong key or value below it."""
    wrong = _KEY.search(said)
    if path := _PATH.search(said):
        below = f"{path[1]}.{path[2].replace(']', '')}"
    elif service := _SERVICE.search(said):
        below = f"services.{service[1] or service[2]}"
    else:
        return _line_of(document, wrong)
    key, value = _descend(document, below)
    if key is None or value is None:
        return None
    return _line_of(value, wrong) or _by_value(said, value) or key.line


def _line_of(node: Node, key: re.Match[str] | None) -> int | None:
    return next((each.line for each, _ in entries(node) if key and each.text == key[1]), None)


def _descend(node: Node, path: str) -> tuple[Leaf | None, Node | None]:
    """Return the deepest existing key of *path*, and its value. Keys may contain dots."""
    key, at = None, node
    while path:
        found = max(
            ((each, value) for each, value in entries(at) if _begins(path, each.text)), key=lambda each: len(each[0].text), default=None
        )
        if found is None:
            break
        key, at = found
        path = path[len(key.text) :].removeprefix(".")
    # The line of a top-level section tells no more than the first line of the file.
    return (None, None) if key is None or key.text in ("services", "networks", "volumes", "configs", "secrets") else (key, at)


def _begins(path: str, key: str) -> bool:
    return path == key or path.startswith(f"{key}.")


def _by_value(said: str, node: Node) -> int | None:
    """Return the first line whose text contains a value from the message."""
    for token in _tokens(said):
        lines = [leaf.line for _, leaf in leaves(node) if isinstance(leaf.text, str) and token in leaf.text]
        if lines:
            return min(lines)
    return None


def _tokens(said: str) -> Iterator[str]:
    for found in _VALUE.finditer(said):
        yield Path(found[2]).name if found[2] else found[1] or found[3]
