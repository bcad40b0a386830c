"""Paths of a definition: relative to the file they stand in, and never outside the project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from envctl.definition.source import TreePath
from envctl.errors import did_you_mean

PathType = Literal["file", "folder", "file or folder"]


def inside(text: str, base: Path, project: Path, *, what: PathType | None) -> Path | str:
    """The path that *text* names, or a sentence about what is wrong with it; without *what* it need not exist."""
    if not text.strip() or "\0" in text:
        return "this is no path"
    path = Path(os.path.normpath(base / text))
    try:
        if outside(path, project):
            return f"'{text}' is outside of the project {project}"
        return path if what is None else _existing(path, text, what)
    except (OSError, RuntimeError) as error:
        return f"'{text}' cannot be read: {getattr(error, 'strerror', None) or error}"


def outside(path: Path, project: Path) -> bool:
    """Whether *path* leads out of the project, through symbolic links too."""
    return not path.resolve().is_relative_to(project.resolve())


def _existing(path: Path, text: str, what: PathType) -> Path | str:
    if not path.exists():
        return f"there is no {what} '{text}'" + (" (a broken link)" if path.is_symlink() else _near(path))
    if path.is_dir() and what == "file":
        return f"'{text}' is a folder, and a file is expected"
    if not path.is_dir() and what == "folder":
        return f"'{text}' is a file, and a folder is expected"
    if not path.is_dir() and not path.is_file():
        return f"'{text}' is no ordinary file"
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        return f"'{text}' cannot be read: permission denied"
    return path


def _near(path: Path) -> str:
    """Where the search went wrong: the first folder that is not there, or a name like it."""
    missing = next(parent for parent in (path, *path.parents) if parent.parent.is_dir())
    if missing != path:
        return f" (the folder '{missing.name}' is not there)"
    hint = did_you_mean(path.name, sorted(entry.name for entry in path.parent.iterdir()), limit=5)
    return f"; {hint}" if hint.startswith("did") else ""


def locate(tree: Mapping[str, object], text: str, at: TreePath) -> TreePath:
    """Where below *at* the *text* stands: a merged map's keys may come from several files."""
    value: object = tree
    for step in at:
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(((*at, key) for key, item in items if item == text), at)
