"""The defaults of options from `envctl.toml`, or from `[tool.envctl]` of pyproject.toml, at the project's root."""

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
"""The maximum size in bytes of a file with settings."""

OPTIONS = {
    "name", "set", "only", "stub", "use", "port", "image", "local", "engine", "context", "namespace", "registry", "ttl", "timeout",
    "fresh", "keep", "lanes", "no_snapshots", "strict", "existing_secret",
}  # fmt: skip
"""The options that may have a default in the settings; a test compares them with the options of the commands."""
TABLES = ("docker", "images", "kubernetes", "leases", "preview", "snapshots")
"""The keys that are tables, not options."""


@dataclass(frozen=True)
class Settings:
    """The settings of one file; the names of the keys have `_` instead of `-`."""

    file: Path
    keys: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Return option name to default.

        Raises:
            DefinitionError: a key is neither an option nor a table.
        """
        for key in self.keys:
            if key not in OPTIONS | set(TABLES):
                raise self._mistake(key, "unknown key", did_you_mean(key, sorted(OPTIONS | set(TABLES))))
        return {key: value for key, value in self.keys.items() if key not in TABLES}

    def images(self) -> dict[str, str]:
        """Return prefix of an image name to its replacement.

        Raises:
            DefinitionError: `images` is not a table of texts.
        """
        found = self.keys.get("images", {})
        if not (isinstance(found, dict) and all(isinstance(value, str) for value in found.values())):
            hint = 'images = {"docker.io" = "registry.corp/hub"}'
            raise self._mistake("images", "expected a table of prefixes and their replacements", hint)
        return dict(found)

    def table(self, name: str, shape: Any) -> dict[str, Any]:
        """Return the table *name*; *shape* is a dataclass with one field for each known key, and an example in the field's metadata.

        Raises:
            DefinitionError: a key is unknown, or a value has the wrong type.
        """
        return self._checked(name, self.keys.get(name, {}), shape)

    def _checked(self, name: str, found: Any, shape: Any) -> dict[str, Any]:
        known = {each.name.rstrip("_"): each for each in fields(shape)}  # `class` is a keyword of Python
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
    """Return the settings of the nearest file, from *folder* upwards to the root of the repository; empty settings without a file.

    Raises:
        DefinitionError: `envctl.toml` is not valid TOML, or cannot be read.
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
            return None  # a faulty pyproject.toml is for other tools to report
        if isinstance(error, FileRefused):
            raise DefinitionError([Problem(path, 1, "", str(error))]) from None
        place = re.search(r"\bline (\d+)", str(error))
        raise DefinitionError([Problem(path, int(place[1]) if place else 1, "", f"not valid TOML: {error}")]) from None
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None
