"""Search for the definition file that a user names (ENV), and for the folder of its project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envctl.definition.compose_words import reads_like_compose
from envctl.errors import UsageError, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file
from envctl.files.toml import parse_toml

FOLDER = "environments"
MAX_BYTES = 1_000_000
_SUFFIXES = (".yaml", ".yml")
_COMPOSE = re.compile(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE_FILES = ("compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml")
"""The files that plain `docker compose up` reads in addition to one of COMPOSE_FILES."""


@dataclass(frozen=True)
class EnvironmentFile:
    """The file of a definition, and the folder of its project."""

    file: Path
    project: Path


def find_environment(env: str, cwd: Path) -> EnvironmentFile:
    """Return the definition that *env* names: a name under `environments/`, a file, a folder, or a Compose file.

    Raises:
        UsageError: *env* names no definition; the hint lists the known names.
    """
    cwd = Path(os.path.realpath(cwd))
    known = environments(cwd)
    file = known.get(env) or _by_path(env, cwd)
    if file is None:
        raise UsageError(f"there is no environment '{env}'", hint=_advice(env, known, compose_files(cwd)))
    file = _real(file)
    return EnvironmentFile(file, find_project(file, cwd))


def environments(cwd: Path) -> dict[str, Path]:
    """Return the names under `environments/`, in *cwd* and in the project's folder, with their files."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys([cwd, project_of(cwd)]):
        for name, file in _named(folder / FOLDER):
            found.setdefault(name, file)
    return found


def compose_files(folder: Path) -> list[str]:
    """Return the names of the Compose files in *folder*, those with a usual name first; override files are left out."""
    try:
        names = {file.name for file in folder.iterdir() if _COMPOSE.fullmatch(file.name) and file.is_file()}
    except OSError:
        return []
    usual = [name for name in COMPOSE_FILES if name in names]
    return [*usual, *sorted(names - {*usual, *OVERRIDE_FILES})]


def is_compose_file(file: Path) -> bool:
    """Return whether *file* is a Compose file, by its name or its content. `environment.yaml` and files in `environments/` never are."""
    if file.parent.name == FOLDER or file.stem == "environment":
        return False
    return _COMPOSE.fullmatch(file.name) is not None or reads_like_compose(file, project_of(file.parent))


def project_of(folder: Path) -> Path:
    """Return the project that contains *folder*; *folder* itself if it is in no project.

    Symbolic links are resolved, so that one checkout is one project.
    """
    folder = Path(os.path.realpath(folder))
    return _marked(folder) or folder


def find_project(file: Path, cwd: Path | None = None) -> Path:
    """Return the project of a definition *file*: the nearest folder above it that has envctl.toml, `[tool.envctl]` or .git.

    The search starts in *cwd* if the file is below it. Without such a folder, the project is the folder that contains
    `environments/`, or else the file's own folder.
    """
    folder = _real(file).parent
    start = cwd if cwd is not None and folder.is_relative_to(cwd) else folder
    if marked := _marked(start):
        return marked
    for base in (folder, folder.parent):
        if base.name == FOLDER:
            return base.parent
    return folder


def _real(file: Path) -> Path:
    """Return *file* with its folder resolved. A link to a file stays: the files to which a definition refers are beside the link."""
    return Path(os.path.realpath(file.parent)) / file.name


def _marked(start: Path) -> Path | None:
    return next((folder for folder in (start, *start.parents) if _is_project(folder)), None)


def _is_project(folder: Path) -> bool:
    if (folder / "envctl.toml").exists() or (folder / ".git").exists():
        return True
    try:
        return "envctl" in parse_toml(read_file(folder / "pyproject.toml", folder, largest=MAX_BYTES).decode()).get("tool", {})
    except (FileRefused, OSError, ValueError):
        return False


def _named(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix in _SUFFIXES and not entry.is_dir():
            yield entry.stem, entry
        elif inner := _in_folder(entry):
            yield entry.name, inner


def _in_folder(folder: Path) -> Path | None:
    return next((file for suffix in _SUFFIXES if (file := folder / f"environment{suffix}").is_file()), None)


def _by_path(env: str, cwd: Path) -> Path | None:
    path = cwd / os.path.expanduser(env)
    try:
        if path.is_dir():
            return _in_folder(path) or next((f for name in COMPOSE_FILES if (f := path / name).is_file()), None)
        if path.exists():
            return path
    except (OSError, ValueError):
        return None
    return None


def _advice(env: str, known: dict[str, Path], composed: list[str]) -> str:
    if composed and not known:
        return f"known here: {', '.join(composed)}; `envctl init` adds what tests need to it"
    if "/" in env or env.endswith(_SUFFIXES):
        return "no such file; a folder must contain an environment.yaml"
    if not known:
        return f"{FOLDER}/ has no environments; `envctl init` writes a first one"
    return did_you_mean(env, list(known))
