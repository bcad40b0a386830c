"""The files of a container: the kind's own texts, folders of ours or the project's, and the definition's `files`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.expressions import ExpressionError, evaluate_tree, render_text
from envctl.definition.kinds import Kind
from envctl.plan.model import File

OURS = "envctl:"
"""A mounted folder that begins with this is a folder of this package."""


Contents = Mapping[str, File]
"""Path below a folder to the file there; a file alone has none."""


def service_files(
    kind: Kind,
    scope: Mapping[str, Any],
    files: Mapping[str, str],
    resolve: Callable[[str, str], Path],
    read_all: Callable[[Path], Contents],
) -> dict[str, File]:
    """Path inside to its file.

    Args:
        resolve: finds a path that the definition names under `with` or `files`.
        read_all: `contents`, or what has read them before.
    """
    for path in files:
        if ".." in PurePosixPath(path).parts:
            raise ExpressionError(f"'{path}' leads out of the container: `..` has no place in a path inside")
    found = dict(_texts(kind, scope))
    for target, value in kind.mounts.items():
        for source in listed(evaluate_tree(value, scope)):
            place = _package(source) if source.startswith(OURS) else resolve(source, "with")
            found |= _copied(target, place, read_all(place), into=True)
    for target, source in files.items():
        place = resolve(source, "files")
        found |= _copied(target, place, read_all(place), into=False)
    return found


def _texts(kind: Kind, scope: Mapping[str, Any]) -> Iterator[tuple[str, File]]:
    """Of a weak password even a hash gives it away: a text that is made of one counts as secret, whatever it holds in the end."""
    for path, template in kind.files.items():
        text = render_text(template, scope)
        if text.strip():
            yield path, File(text=text, secret="passw" in template)


def listed(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _package(source: str) -> Path:
    return Path(__file__).resolve().parent.parent / source.removeprefix(OURS)


def _copied(target: str, source: Path, found: Contents, *, into: bool) -> dict[str, File]:
    """A file under *target* itself (or, with *into*, below it by its own name), a folder's files below it."""
    alone = PurePosixPath(target, source.name) if into or target.endswith("/") else PurePosixPath(target)
    return {str(PurePosixPath(target, path) if path else alone): file for path, file in found.items()}


def contents(source: Path) -> Contents:
    """The files below a folder in the order of their paths, or a file alone."""
    if not source.is_dir():
        return {"": read(source)}
    paths = sorted(path for path in source.rglob("*") if path.is_file() and not _skipped(path.relative_to(source)))
    return {path.relative_to(source).as_posix(): read(path) for path in paths}


def _skipped(path: Path) -> bool:
    return "__pycache__" in path.parts


def read(path: Path) -> File:
    """Its text; a binary (not UTF-8, with a NUL or CR) or a program stays where it is: a config is text without a mode."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return File(source=path)
    plain = "\0" not in text and "\r" not in text and not os.access(path, os.X_OK)
    return File(text=text, source=path) if plain else File(source=path)
