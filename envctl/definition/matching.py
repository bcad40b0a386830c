"""The files that match a pattern such as `migrations/**/*.sql`. No link is followed, and each file is visited once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

MAX_FILES = 200_000


class TooManyFiles(ValueError):
    """The error for more than MAX_FILES files and folders below the folder that a pattern begins with."""


def matching(pattern: str, folder: Path) -> Iterator[str]:
    """Yield the files and folders below *folder* that match *pattern*, relative to *folder*.

    A hidden file or folder only matches a part of the pattern that begins with a `.` itself.

    Raises:
        TooManyFiles: the search would visit more than MAX_FILES files and folders.
    """
    steps = os.path.normpath(pattern).split("/")
    fixed = next((number for number, step in enumerate(steps) if any(sign in step for sign in "*?[")), len(steps))
    start, wanted = "/".join(steps[:fixed]), steps[fixed:]
    if not folder.exists():  # the file system cannot resolve `..` below a folder that is not created yet
        folder, start = Path(os.path.normpath(folder / start)), ""
    if not wanted:
        yield from [start] if (folder / start).exists() else []
        return
    if _matches([], wanted) and (folder / start).is_dir():
        yield start or "."
    for path in _below(folder / start, hidden=any(step.startswith(".") for step in wanted)):
        if _matches(path.split("/"), wanted):
            yield f"{start}/{path}" if start else path


def _below(root: Path, hidden: bool) -> Iterator[str]:
    count = 0
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if hidden or not name.startswith("."))
        for name in [*folders, *sorted(files)]:
            count += 1
            if count > MAX_FILES:
                raise TooManyFiles(f"there are more than {MAX_FILES:,} files in '{root.name}'; name a folder in it")
            yield os.path.relpath(os.path.join(place, name), root)


def _matches(path: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether *path* matches *wanted*.

    For each part, the set of all possible positions in the pattern is kept, so that no combination is tried twice.
    """
    places = {0}
    for part in path:
        places = {after for place in _onward(places, wanted) for after in _after(part, place, wanted)}
    return len(wanted) in _onward(places, wanted)


def _onward(places: Collection[int], wanted: Sequence[str]) -> set[int]:
    """Return *places*, and the positions after each `**` there, which may match nothing."""
    found = set(places)
    for place, step in enumerate(wanted):
        if place in found and step == "**":
            found.add(place + 1)
    return found


def _after(part: str, place: int, wanted: Sequence[str]) -> Iterator[int]:
    if place == len(wanted) or (part.startswith(".") and not wanted[place].startswith(".")):
        return
    if wanted[place] == "**":
        yield place
    elif fnmatchcase(part, wanted[place]):
        yield place + 1
