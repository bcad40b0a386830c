"""Provide the files of a project to `init`: a list of limited length, and the contents of the readable ones."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.source import parse
from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.files.toml import parse_toml
from envctl.init.model import ROOT

SKIPPED = frozenset([
    ".git", ".hg", ".svn", ".venv", "venv", "env", ".env", "node_modules", "vendor", "bower_components", "target", "dist", "build",
    "out", "obj", "site-packages", "__pycache__", "coverage", "testdata", "examples", "environments",
])  # fmt: skip
"""Folders that are not searched: dependencies, build results, tools, and `environments`, which `init` itself writes."""
SEEN = frozenset([".github", ".circleci", ".devcontainer", ".docker"])
"""Hidden folders that are searched, because they can say what the tests need."""
MAX_FILES = 20_000
MAX_ENTRIES = 5_000
MAX_DEPTH = 7
MAX_BYTES = 1_000_000
MAX_CHARACTERS = 24_000_000
"""The total number of characters that are read from all files."""
MAX_YAML = 600_000
"""The total number of characters of YAML that are parsed. Parsing keeps positions and takes seconds for a megabyte."""
MAX_LINE = 4096
"""The maximum length of a line, in characters. Longer lines are generated, and searching them would be slow."""


@dataclass(frozen=True)
class ProjectFiles:
    """The project's folder and the paths of its files; files near the root come first."""

    root: Path
    files: tuple[PurePosixPath, ...]
    _texts: dict[PurePosixPath, str] = field(default_factory=dict, repr=False, compare=False)
    _trees: dict[PurePosixPath, Any] = field(default_factory=dict, repr=False, compare=False)
    _left: dict[str, int] = field(default_factory=lambda: {"text": MAX_CHARACTERS, "yaml": MAX_YAML}, repr=False, compare=False)

    @classmethod
    def read(cls, root: Path) -> ProjectFiles:
        """List the files below *root*, at most MAX_FILES."""
        return cls(root, tuple(islice(_walk(root), MAX_FILES)))

    def named(self, *patterns: str) -> list[PurePosixPath]:
        """Return the files whose name matches one of the glob *patterns*; files near the root come first."""
        names = {name for pattern in patterns for name in self._matching(pattern)}
        found = [(number, path) for name in names for number, path in self._by_name[name]]
        return [path for _, path in sorted(found)]

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[int, PurePosixPath]]]:
        found: dict[str, list[tuple[int, PurePosixPath]]] = {}
        for number, path in enumerate(self.files):
            found.setdefault(path.name, []).append((number, path))
        return found

    def _matching(self, pattern: str) -> list[str]:
        if not any(sign in pattern for sign in "*?["):
            return [pattern] if pattern in self._by_name else []
        return [name for name in self._by_name if fnmatchcase(name, pattern)]

    def first(self, *patterns: str) -> PurePosixPath | None:
        """Return the first file that `named` finds, or None."""
        return next(iter(self.named(*patterns)), None)

    def has(self, path: PurePosixPath) -> bool:
        """Return whether *path* exists in the project."""
        return (self.root / path).exists()

    def below(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the files in *folder* and its subfolders."""
        return [path for path in self.files if path.is_relative_to(folder)]

    def text(self, path: PurePosixPath, *, whole: bool = False) -> str:
        """Return the text of the file at *path*.

        The text is empty if the file is binary or cannot be read, or if the files read before it have used up MAX_CHARACTERS.

        Args:
            whole: keep lines longer than MAX_LINE, which are dropped otherwise.
        """
        if path not in self._texts:
            found = self._content(path)
            self._texts[path] = found if self._affords("text", found) else ""
        text = self._texts[path]
        return text if whole or len(text) <= MAX_LINE else "\n".join(line for line in text.split("\n") if len(line) <= MAX_LINE)

    def _affords(self, what: str, text: str) -> bool:
        self._left[what] -= len(text)
        return self._left[what] >= 0

    def _content(self, path: PurePosixPath) -> str:
        file = self.root / path
        try:
            with open_file(file, self.root) as stream:
                content = stream.read(MAX_BYTES)
        except (FileRefused, OSError):
            return ""
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16", errors="replace")  # PowerShell writes UTF-16 for `pip freeze > ...`.
        return "" if b"\0" in content else content.decode("utf-8-sig", errors="replace")

    def tree(self, path: PurePosixPath) -> dict[str, Any]:
        """Return the map in a JSON, TOML or YAML file; an empty map if the file is broken or contains something else."""
        if path not in self._trees:
            self._trees[path] = self._parsed(path, self.text(path, whole=True))
        return as_map(self._trees[path])

    def _parsed(self, path: PurePosixPath, text: str) -> Any:
        try:
            if path.suffix == ".json":
                return json.loads(text)
            if path.suffix == ".toml" or path.name == "Pipfile":
                return parse_toml(text)
        except (ValueError, RecursionError):
            return None
        # A parser without recursion, because a deeply nested document must not crash the process.
        return parse(text, Path(path)).tree if self._affords("yaml", text) else None


def as_map(value: object) -> dict[str, Any]:
    """Return *value* if it is a map, otherwise an empty map: the project's files can contain anything."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return *value* if it is a list, otherwise an empty list."""
    return value if isinstance(value, list) else []


def _walk(root: Path) -> Iterator[PurePosixPath]:
    queue = deque([(ROOT, 0)])
    while queue:
        folder, depth = queue.popleft()
        for entry in _entries(root / folder):
            path = folder / entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path
            elif depth < MAX_DEPTH and not _is_skipped(entry):
                queue.append((path, depth + 1))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_skipped(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") and entry.name not in SEEN
    return hidden or entry.name in SKIPPED or os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
