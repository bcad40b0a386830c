"""Defaults of options from `envctl.toml`, or `[tool.envctl]` of pyproject.toml, at the project's root."""

from __future__ import annotations

import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from envctl.errors import DefinitionError, Problem, did_you_mean

TABLES = ("images", "kubernetes")
"""Keys that are no options."""
KEYS = {
    "name",
    "set",
    "only",
    "stub",
    "use",
    "port",
    "image",
    "local",
    "engine",
    "context",
    "namespace",
    "registry",
    "ttl",
    "timeout",
    "fresh",
    "keep",
    "report",
    "strict",
    "existing_secret",
}
"""Options that may have a default here; a test compares them with the commands'."""


@lru_cache
def settings() -> dict[str, Any]:
    """The nearest file's keys, from the working directory upwards.

    Raises:
        DefinitionError: it is no TOML.
    """
    return _nearest()[1]


def _nearest() -> tuple[Path, dict[str, Any]]:
    for folder in (Path.cwd(), *Path.cwd().parents):
        for name, keys in (("envctl.toml", ()), ("pyproject.toml", ("tool", "envctl"))):
            found = _read(folder / name, keys)
            if found is not None:
                return folder / name, found
        if (folder / ".git").exists():
            break
    return Path("envctl.toml"), {}


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        content: Any = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        if keys:
            return None  # somebody else's pyproject.toml is not ours to complain about
        line = next((int(word.rstrip(",")) for word in _after_line(str(error))), 1)
        raise DefinitionError([Problem(path, line, "", f"this is no TOML: {error}")]) from None
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None


def _after_line(text: str) -> list[str]:
    words = text.replace(")", " ").split()
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word == "line" and words[i + 1].rstrip(",").isdigit()]


def images() -> dict[str, str]:
    found = settings().get("images", {})
    if not (isinstance(found, dict) and all(isinstance(value, str) for value in found.values())):
        hint = 'images = {"docker.io" = "registry.corp/hub"}'
        raise DefinitionError([Problem(_nearest()[0], 1, "images", "expected a table of prefixes to what stands in their place", hint)])
    return dict(found)


CLUSTER: dict[str, tuple[type, str]] = {
    "labels": (dict, 'labels = {"team" = "shop"}'),
    "pull_secrets": (list, 'pull_secrets = ["registry-login"]'),
    "priority_class": (str, 'priority_class = "low"'),
    "quota": (dict, 'quota = {"requests.cpu" = "4"}'),
}
"""Keys of `[kubernetes]`, their types, and an example of each."""


def cluster() -> dict[str, Any]:
    """What a cluster wants of everything that is put into it.

    Raises:
        DefinitionError: an unknown key, or a value of another type.
    """
    found = settings().get("kubernetes", {})
    if not isinstance(found, dict):
        raise DefinitionError([Problem(_nearest()[0], 1, "kubernetes", "expected a table", "[kubernetes]")])
    for key, value in found.items():
        if key not in CLUSTER:
            raise DefinitionError([Problem(_nearest()[0], 1, f"kubernetes.{key}", "unknown key", did_you_mean(key, sorted(CLUSTER)))])
        kind, example = CLUSTER[key]
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if not isinstance(value, kind) or not all(isinstance(item, str) for item in items):
            raise DefinitionError([Problem(_nearest()[0], 1, f"kubernetes.{key}", "this is not of its form", example)])
    return dict(found)


def export() -> None:
    """Where a cluster is the configured place, commands that take no option for it look there too."""
    given = settings()
    if given.get("engine") == "kubernetes" and not os.environ.get("ENVCTL_ENGINE"):
        told = {f"ENVCTL_{key.upper()}": given[key] for key in ("engine", "context", "namespace") if isinstance(given.get(key), str)}
        os.environ.update({key: value for key, value in told.items() if key not in os.environ})


def default_map(command: Any) -> dict[str, Any]:
    """For Click: command to option to default.

    Raises:
        DefinitionError: a key that is no option of any command.
    """
    given = settings()
    for key in given:
        if key.replace("-", "_") not in KEYS | set(TABLES):
            raise DefinitionError([Problem(_nearest()[0], 1, key, "unknown key", did_you_mean(key, sorted(KEYS | set(TABLES))))])
    plain = {key.replace("-", "_"): _option(value) for key, value in given.items() if key not in TABLES}
    return {name: _known(sub, plain) for name, sub in command.commands.items()} if plain else {}


def _known(command: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """The defaults of *command*'s options; an argument (`down NAME`) is said each time."""
    options = {param.name: param for param in command.params if param.param_type_name == "option"}
    return {key: [value] if options[key].multiple and isinstance(value, str) else value for key, value in plain.items() if key in options}


def _option(value: Any) -> Any:
    if isinstance(value, dict):
        return [f"{key}={item}" for key, item in value.items()]
    return value
