"""The files of a container: the kind's own texts, folders of ours or the project's, and the definition's `files`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.expressions import ExpressionError, evaluate_tree, render_text
from envctl.definition.kinds import OURS, Kind
from envctl.files.reading import files_below, open_file
from envctl.plan.model import File

LARGEST_TEXT = 1_000_000
"""Bytes of a text that is written into manifests; what is larger is copied."""

PACKAGE = Path(__file__).resolve().parent.parent

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
        read_all: gives the `contents` of a path of the project, or what has read them before.
    """
    for path in files:
        if ".." in PurePosixPath(path).parts:
            raise ExpressionError(f"'{path}' leads out of the container: a path inside cannot contain `..`")
    found = texts_of(kind.files, scope)
    for target, value in kind.mounts.items():
        for template in listed(value):
            if template.startswith(OURS):
                place = PACKAGE / template.removeprefix(OURS)
                found |= _copied(target, place, contents(place, PACKAGE), into=True)
                continue
            for source in listed(evaluate_tree(template, scope)):
                place = resolve(source, "with")
                found |= _copied(target, place, read_all(place), into=True)
    for target, source in files.items():
        place = resolve(source, "files")
        found |= _copied(target, place, read_all(place), into=False)
    return found


def texts_of(templates: Mapping[str, str], scope: Mapping[str, Any]) -> dict[str, File]:
    """Those that are not empty.

    Of a weak password even a hash gives it away: a text that is made of one counts as secret, whatever it holds in the end.
    """
    rendered = {path: File(text=render_text(template, scope), secret="passw" in template) for path, template in templates.items()}
    return {path: file for path, file in rendered.items() if (file.text or "").strip()}


def listed(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _copied(target: str, source: Path, found: Contents, *, into: bool) -> dict[str, File]:
    """A file under *target* itself (or, with *into*, below it by its own name), a folder's files below it."""
    alone = PurePosixPath(target, source.name) if into or target.endswith("/") else PurePosixPath(target)
    return {str(PurePosixPath(target, path) if path else alone): file for path, file in found.items()}


def contents(source: Path, root: Path) -> Contents:
    """The files below a folder in the order of their paths, or a file alone.

    Raises:
        FileRefused: one leads out of *root*, or is not a regular file.
        OSError: one cannot be read.
    """
    if not source.is_dir():
        return {"": read(source, root)}
    below = ((path.relative_to(source), path) for path in files_below(source, root))
    return {relative.as_posix(): read(path, root) for relative, path in below if "__pycache__" not in relative.parts}


def read(path: Path, root: Path) -> File:
    """Its text; a binary (not UTF-8, with a NUL or CR), a program or a large one stays where it is: a config is text without a mode."""
    copied = File(source=path, root=root)
    with open_file(path, root) as stream:
        content = stream.read(LARGEST_TEXT + 1)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return copied
    plain = len(content) <= LARGEST_TEXT and "\0" not in text and "\r" not in text and not copied.executable
    return copied._replace(text=text) if plain else copied
