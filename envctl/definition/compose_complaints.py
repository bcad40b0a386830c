"""Where what Docker Compose complains of stands in its files: it names services, keys and values, but seldom a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envctl.definition.compose_paths import entries, leaves
from envctl.definition.yaml_parser import Leaf, Node

Place = tuple[Path, int]
_LINE = re.compile(r"\bline (\d+): ")
_PATH = re.compile(r"\b(services|networks|volumes|configs|secrets)(?:\.|\[)([\w.\]-]*\w)")
"""`services.a.image`, or `services[a].image`."""
_SERVICE = re.compile(r"service \"([^\"]+)\"|cycle detected: (\S+) ->")
_KEY = re.compile(r"[Aa]dditional property (\S+)")
_VALUE = re.compile(r"undefined \w+ \"?([\w.-]+)|(/[^\s:]+)|[Ii]nvalid \w+: ([^\s:]+)")
"""What a key names that is not there, a file, a value of a wrong form."""


def place_of(said: str, nodes: Mapping[Path, Node | None], first: Path) -> Place:
    """The file and line that *said* is about; the first line of *first* where that cannot be told.

    Args:
        nodes: what each Compose file holds.
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
    """By a path of keys, or a service: there, or at the key or value below it that is wrong."""
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
    """The deepest key of *path* that is there, and what stands under it; names may have dots in them."""
    key, at = None, node
    while path:
        found = max(
            ((each, value) for each, value in entries(at) if _begins(path, each.text)), key=lambda each: len(each[0].text), default=None
        )
        if found is None:
            break
        key, at = found
        path = path[len(key.text) :].removeprefix(".")
    # Only the section itself is no better than the first line.
    return (None, None) if key is None or key.text in ("services", "networks", "volumes", "configs", "secrets") else (key, at)


def _begins(path: str, key: str) -> bool:
    return path == key or path.startswith(f"{key}.")


def _by_value(said: str, node: Node) -> int | None:
    """The first text that holds what is named, in the order of the lines."""
    for token in _tokens(said):
        lines = [leaf.line for _, leaf in leaves(node) if isinstance(leaf.text, str) and token in leaf.text]
        if lines:
            return min(lines)
    return None


def _tokens(said: str) -> Iterator[str]:
    for found in _VALUE.finditer(said):
        yield Path(found[2]).name if found[2] else found[1] or found[3]
