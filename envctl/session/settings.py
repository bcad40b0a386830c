"""Defaults of options from `envctl.toml`, or `[tool.envctl]` of pyproject.toml, at the project's root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from envctl.errors import DefinitionError, Problem, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file
from envctl.files.toml import parse_toml

LARGEST = 1_000_000
"""Bytes of a file with settings."""

OPTIONS = {
    "name", "set", "only", "stub", "use", "port", "image", "local", "engine", "context", "namespace", "registry", "ttl", "timeout",
    "fresh", "keep", "lanes", "no_snapshots", "strict", "existing_secret",
}  # fmt: skip
"""Options that may have a default here; a test compares them with the commands'."""
TABLES = ("docker", "images", "kubernetes", "leases", "preview", "snapshots")
"""Keys that are no options."""


@dataclass(frozen=True)
class Settings:
    """The keys of a file, by their names with `_`."""

    file: Path
    keys: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Option to its default.

        Raises:
            DefinitionError: a key that is none.
        """
        for key in self.keys:
            if key not in OPTIONS | set(TABLES):
                raise self._mistake(key, "unknown key", did_you_mean(key, sorted(OPTIONS | set(TABLES))))
        return {key: value for key, value in self.keys.items() if key not in TABLES}

    def images(self) -> dict[str, str]:
        """Prefix of an image's name to what stands in its place.

        Raises:
            DefinitionError: it is no such table.
        """
        found = self.keys.get("images", {})
        if not (isinstance(found, dict) and all(isinstance(value, str) for value in found.values())):
            hint = 'images = {"docker.io" = "registry.corp/hub"}'
            raise self._mistake("images", "expected a table of prefixes and what replaces them", hint)
        return dict(found)

    def table(self, name: str, shape: Any) -> dict[str, Any]:
        """The table *name*, whose keys are the fields of *shape*: a dataclass with an example of each.

        Raises:
            DefinitionError: an unknown key, or a value of another type.
        """
        return self._checked(name, self.keys.get(name, {}), shape)

    def _checked(self, name: str, found: Any, shape: Any) -> dict[str, Any]:
        known = {each.name.rstrip("_"): each for each in fields(shape)}  # `class` is a word of Python's
        if not isinstance(found, dict):
            raise self._mistake(name, "expected a table", f"[{name}]")
        for key, value in found.items():
            if key not in known:
                raise self._mistake(f"{name}.{key}", "unknown key", did_you_mean(key, sorted(known)))
            if "shape" in known[key].metadata:
                self._checked(f"{name}.{key}", value, known[key].metadata["shape"])
                continue
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            if not isinstance(value, type(getattr(shape(), known[key].name))) or not all(isinstance(item, str) for item in items):
                raise self._mistake(f"{name}.{key}", "not of the right form", known[key].metadata["example"])
        return dict(found)

    def _mistake(self, key: str, message: str, hint: str) -> DefinitionError:
        return DefinitionError([Problem(self.file, 1, key, message, hint)])


def nearest(folder: Path) -> Settings:
    """Of the nearest file, from *folder* upwards to the root of the repository.

    Raises:
        DefinitionError: it is no TOML.
    """
    root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
    for each in (folder, *folder.parents):
        for name, keys in (("envctl.toml", ()), ("pyproject.toml", ("tool", "envctl"))):
            found = _read(each / name, root or each, keys)
            if found is not None:
                return Settings(each / name, {key.replace("-", "_"): value for key, value in found.items()})
        if (each / ".git").exists():
            break
    return Settings(Path("envctl.toml"))


def _read(path: Path, root: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        content: Any = parse_toml(read_file(path, root, largest=LARGEST).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (FileRefused, OSError, ValueError) as error:
        if keys:
            return None  # somebody else's pyproject.toml is not ours to complain about
        if isinstance(error, FileRefused):
            raise DefinitionError([Problem(path, 1, "", str(error))]) from None
        place = re.search(r"\bline (\d+)", str(error))
        raise DefinitionError([Problem(path, int(place[1]) if place else 1, "", f"not valid TOML: {error}")]) from None
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None
