"""The program of a server on this machine: from a Python package, or from PATH."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from envctl.definition.kinds import Program
from envctl.engines.local.folders import is_root, kept_in, made_whole, make_passable, reachable
from envctl.errors import EngineMissing
from envctl.plan.model import LocalProgram

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
SERVERS_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin:/opt/homebrew/sbin"
"""Folders with servers that are often missing in a user's PATH."""
PACKAGES = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class InstalledProgram:
    """A program and the version that it reports; the version is empty if it reports none."""

    path: Path
    version: str = ""
    python: bool = False
    package: bool = False
    """Whether it comes from a Python package: then the files beside it belong to it."""
    arguments: tuple[str, ...] = ()
    """The arguments that it needs before those of the service."""
    loss: str = ""
    """What is not supported here with this program."""

    @property
    def folder(self) -> Path:
        return self.path.parent


def find_program(program: LocalProgram, wanted: str, path: str | None) -> InstalledProgram | None:
    """Return the first program of the wanted major version, else the nearest later one, else the nearest earlier one.

    Args:
        wanted: the version; empty if any will do.
        path: the PATH of the caller.

    Returns:
        None if no program is installed.
    """
    places = ((each, place) for each in program.programs for place in _paths(each, path or SYSTEM_PATH))
    found = [_installed(each, place, program) for each, place in places]
    if not found or not wanted:
        return found[0] if found else None
    exact = next((one for one in found if one.version and major(one.version) == major(wanted)), None)
    return exact or (_nearest([one for one in found if one.version], wanted) if found[0].version else found[0])


def _installed(program: Program, path: Path, local: LocalProgram) -> InstalledProgram:
    # For a server that is a Python module, the version of Python means nothing.
    version = program.version or ("" if program.module else _version(path, tuple(local.version_of)))
    return InstalledProgram(path, version, bool(program.module), bool(program.package), tuple(program.arguments), program.loss)


def major(version: str) -> int:
    """Return the major version; 0 if *version* does not start with a number."""
    match = re.match(r"\d+", version)
    return int(match.group()) if match else 0


def _nearest(found: Sequence[InstalledProgram], wanted: str) -> InstalledProgram:
    later = [one for one in found if major(one.version) > major(wanted)]
    return min(later, key=lambda one: major(one.version)) if later else max(found, key=lambda one: major(one.version))


def _paths(program: Program, search: str) -> Iterator[Path]:
    if program.module:
        if _has(program.module):
            yield Path(sys.executable)
    elif program.package:
        yield from _of_package(program.package, program.folder)
    elif program.script:
        yield from _there(os.path.join(sysconfig.get_path("scripts"), program.script))
    elif os.path.isabs(program.path):
        for path in sorted(glob.glob(program.path), reverse=True):
            yield from _there(path)
    else:
        yield from _there(shutil.which(program.path, path=f"{search}{os.pathsep}{SERVERS_PATH}") or "")


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _of_package(package: str, inside: str) -> Iterator[Path]:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from _there(os.path.join(folder, inside))


def _there(path: str) -> Iterator[Path]:
    if path and os.path.isfile(path) and os.access(path, os.X_OK):
        yield Path(path)


@lru_cache
def _version(path: Path, arguments: tuple[str, ...]) -> str:
    """Return the first number with a point that the program prints (some print it on stderr), or that is in its path."""
    if not arguments:
        return _number(str(path.resolve()))
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return _number(done.stdout + done.stderr)


def _number(text: str) -> str:
    match = re.search(r"\d+(?:\.\d+)+", text)
    return match.group() if match else ""


def for_everybody(found: InstalledProgram, cache: Path) -> InstalledProgram:
    """Return *found* at a path where an unprivileged user can run it; for root, this may be a copy of its installation in *cache*.

    Raises:
        EngineMissing: the program is in a closed folder, and is not from a package, so that it cannot be copied.
    """
    if not is_root() or reachable(found.path):
        return found
    if not found.package:
        hint = "install it for all users, e.g. in /usr/local"
        raise EngineMissing(f"{found.path} is in a folder that the user it would run as cannot enter", hint=hint)
    prefix = found.folder.parent
    site = next((folder for folder in prefix.parents if folder.name in PACKAGES), prefix.parent)
    inside = prefix.relative_to(site)
    target = kept_in(cache, "programs") / f"{'-'.join(inside.parts)}-{found.version}-{int(prefix.stat().st_mtime)}"
    if not target.exists():
        make_passable(cache, "programs")
        with made_whole(target) as copy:
            shutil.copytree(prefix, copy / inside, symlinks=True)
            libraries = site / f"{inside.parts[0]}.libs"  # where auditwheel puts the shared libraries of a package
            if libraries.is_dir():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
    return replace(found, path=target / found.path.relative_to(site), package=False)
