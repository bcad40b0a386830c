"""Data directories that are filled once per version and then copied: initialising PostgreSQL takes half a second, a copy 50 ms."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from envctl.engines.local.folders import held, kept_in, made_whole, make_passable, remove_unless_held
from envctl.engines.local.programs import SYSTEM_PATH, InstalledProgram
from envctl.errors import Evidence, ServiceFailed
from envctl.process.spawning import spawn_detached

COPY = ["-Rp", "-c" if sys.platform == "darwin" else "--reflink=auto"]
"""With owners and times; blocks are shared where the file system can. (`cp` knows how, and is there on every Unix.)"""

NAMELESS = "could not look up effective user ID"
"""What PostgreSQL says to a user without an entry in /etc/passwd, as containers of CI systems have it."""
A_NAME = "`echo envctl:x:$(id -u):$(id -g)::/tmp:/bin/sh >> /etc/passwd`, or run as a user that has one"

KEPT_SECONDS = 7 * 86400
UNFINISHED_SECONDS = 600
"""Longer than any copy takes: a spare is made by a process of its own, which holds nothing."""


class Template(NamedTuple):
    """A filled data directory, and the secret that was given to whoever filled it."""

    data: Path
    secret: str


def template(cache: Path, service: str, found: InstalledProgram, command: Sequence[str], user: int | None) -> Template:
    """The one of this program and command in *cache*, made where it is not there.

    Raises:
        ServiceFailed: the command does not succeed.
        UsageError: the cache is not this user's alone.
    """
    mark = hashlib.sha256("\0".join([str(found.path), str(found.path.stat().st_mtime_ns), *command, str(user)]).encode()).hexdigest()[:12]
    folder = kept_in(cache, "templates") / f"{found.path.name}-{found.version}-{mark}"
    with suppress(FileNotFoundError):
        return _kept(folder)
    make_passable(cache, "templates")
    _make(service, folder, found, command, user)
    return _kept(folder)


def _kept(folder: Path) -> Template:
    os.utime(folder)  # by which `prune` knows that it is used
    return Template(folder / "data", (folder / "secret").read_text())


def _make(service: str, folder: Path, found: InstalledProgram, command: Sequence[str], user: int | None) -> None:
    with made_whole(folder) as new:
        _begin(new, user)
        done = _run(new, found, command, user)
        if done.returncode:
            raise _failure(service, command[0], done)


def _begin(new: Path, user: int | None) -> None:
    """A template to be, with its secret, for the eyes of *user* alone."""
    (new / "data").mkdir(mode=0o700)
    (new / "secret").touch(0o600)
    (new / "secret").write_text(secrets.token_urlsafe(24))
    for path in (new, new / "data", new / "secret") if user is not None else ():
        os.chown(path, user or 0, user or 0)


def _run(new: Path, found: InstalledProgram, command: Sequence[str], user: int | None) -> subprocess.CompletedProcess[str]:
    groups: list[int] | None = [] if user is not None else None
    return subprocess.run(
        command, cwd=new / "data", user=user, group=user, extra_groups=groups,
        env={"PATH": f"{found.folder}:/usr/bin:/bin", "LANG": "C", "HOME": str(new)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def _failure(service: str, program: str, done: subprocess.CompletedProcess[str]) -> ServiceFailed:
    advice = "the program's output says more"
    if NAMELESS in done.stdout:
        advice = f"the user id {os.geteuid()} has no name here, and this server needs one: {A_NAME}"
    evidence = Evidence(service, "initialise", exit_status=done.returncode, logs=tuple(done.stdout.splitlines()[-40:]), advice=advice)
    return ServiceFailed(f"{service}: {program} ended with {done.returncode}", evidence)


def fill(made: Template, target: Path) -> None:
    """*target* becomes a copy of the template: one that was made ahead, or a new one."""
    for spare in made.data.parent.glob("spare-*"):
        with suppress(OSError):
            os.rename(spare, target)  # whoever is first has it; another file system has none
            return
    copy_held(made.data, target)


def copy_held(data: Path, target: Path) -> None:
    """*target* becomes a copy of *data*, whose folder nobody removes meanwhile. Raises OSError: it is not there any more."""
    with held(data.parent):
        copy(data, target)


def copy(data: Path, target: Path) -> None:
    """*target* becomes a copy of *data*, blocks shared where the file system can."""
    if subprocess.run(["cp", *COPY, str(data), str(target)], capture_output=True, check=False).returncode:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-Rp", str(data), str(target)], check=True)


def make_spare(made: Template) -> None:
    """A copy for the next instance, where there is none, made by a process that takes its time and belongs to no instance."""
    folder = made.data.parent
    if any(folder.glob("spare-*")):
        return
    name = secrets.token_hex(4)
    script = 'cp "$@" && mv "$0" "$SPARE" || rm -rf "$0"'
    new = str(folder / f".{name}")
    spawn_detached(
        ["nice", "sh", "-c", script, new, *COPY, str(made.data), new],
        env={"PATH": SYSTEM_PATH, "SPARE": str(folder / f"spare-{name}")},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def prune(cache: Path, *, everything: bool) -> list[str]:
    """Removes what nobody finished, and templates that nobody has used for a while; they are made again when they are wanted.

    What is being made or copied stays.
    """
    removed = []
    for folder in kept_in(cache, "templates").glob("*/"):
        age = time.time() - folder.stat().st_mtime
        if everything or age > KEPT_SECONDS or folder.name.startswith("."):
            removed += [str(folder)] if remove_unless_held(folder) else []
            continue
        for part in folder.glob(".*"):
            if time.time() - part.stat().st_mtime > UNFINISHED_SECONDS:
                shutil.rmtree(part, ignore_errors=True)
    return removed
