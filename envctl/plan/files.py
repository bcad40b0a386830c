"""The files of a container: texts of the kind, folders of envctl or of the project, and `files` of the definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.expressions import ExpressionError, evaluate_tree, render_text
from envctl.definition.kinds import OURS, Kind
from envctl.files.reading import files_below, open_file
from envctl.plan.model import File

LARGEST_TEXT = 1_000_000
"""The largest text that is written into manifests, in bytes; larger files are copied."""

PACKAGE = Path(__file__).resolve().parent.parent

Contents = Mapping[str, File]
"""The files below a folder, by their relative paths; a single file has an empty path."""


def service_files(
    kind: Kind,
    scope: Mapping[str, Any],
    files: Mapping[str, str],
    resolve: Callable[[str, str], Path],
    read_all: Callable[[Path], Contents],
) -> dict[str, File]:
    """Return the files by their paths inside the container.

    Args:
        resolve: finds a path that the definition names under `with` or `files`.
        read_all: returns the `contents` of a path of the project, which may be cached.

    Raises:
        ExpressionError: a path inside the container contains `..`, or a text cannot be evaluated.
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
    """Return the rendered texts that are not empty.

    A text that contains a password is secret even if the password is hashed there, because a hash reveals a weak password.
    """
    rendered = {path: File(text=render_text(template, scope), secret="passw" in template) for path, template in templates.items()}
    return {path: file for path, file in rendered.items() if (file.text or "").strip()}


def listed(value: object) -> list[str]:
    """Return *value* as a list of texts; an empty list for None."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _copied(target: str, source: Path, found: Contents, *, into: bool) -> dict[str, File]:
    """Return the files under *target*: a single file at *target* itself (with *into*, below it under its own name), or a folder's files."""
    alone = PurePosixPath(target, source.name) if into or target.endswith("/") else PurePosixPath(target)
    return {str(PurePosixPath(target, path) if path else alone): file for path, file in found.items()}


def contents(source: Path, root: Path) -> Contents:
    """Return the files below a folder in the order of their paths, or the single file *source*.

    Raises:
        FileRefused: a file is outside *root*, or is not a regular file.
        OSError: a file cannot be read.
    """
    if not source.is_dir():
        return {"": read(source, root)}
    below = ((path.relative_to(source), path) for path in files_below(source, root))
    return {relative.as_posix(): read(path, root) for relative, path in below if "__pycache__" not in relative.parts}


def read(path: Path, root: Path) -> File:
    """Return the file with its text if a config can hold it: UTF-8, no NUL or CR, not executable, not large. Otherwise leave out the text.

    Raises:
        FileRefused: the file is outside *root*, or is not a regular file.
        OSError: the file cannot be read.
    """
    copied = File(source=path, root=root)
    with open_file(path, root) as stream:
        content = stream.read(LARGEST_TEXT + 1)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return copied
    plain = len(content) <= LARGEST_TEXT and "\0" not in text and "\r" not in text and not copied.executable
    return copied._replace(text=text) if plain else copied
