"""Data directories that are initialised once per version and then copied: PostgreSQL takes half a second to initialise, a copy 50 ms."""

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
"""Arguments of `cp`: keep owners and times, and share blocks if the file system can. (Every Unix has `cp`.)"""

NAMELESS = "could not look up effective user ID"
"""PostgreSQL's message to a user without an entry in /etc/passwd, as in containers of CI systems."""
A_NAME = "`echo envctl:x:$(id -u):$(id -g)::/tmp:/bin/sh >> /etc/passwd`, or run as a user that has one"
"""What a user without an entry in /etc/passwd can do."""

KEPT_SECONDS = 7 * 86400
"""The seconds after its last use for which a template is kept."""
UNFINISHED_SECONDS = 600
"""The seconds for which an incomplete spare is kept, longer than any copy takes: the process that makes it holds no lock."""


class Template(NamedTuple):
    """An initialised data directory, and the secret that the initialising command got."""

    data: Path
    secret: str


def template(cache: Path, service: str, found: InstalledProgram, command: Sequence[str], user: int | None) -> Template:
    """Return the template of this program and command in *cache*; make it if it does not exist.

    Args:
        service: the name of the service, for messages.
        user: the user id for the command; None for this user.

    Raises:
        ServiceFailed: the command does not succeed.
        UsageError: the cache does not belong to this user alone.
    """
    mark = hashlib.sha256("\0".join([str(found.path), str(found.path.stat().st_mtime_ns), *command, str(user)]).encode()).hexdigest()[:12]
    folder = kept_in(cache, "templates") / f"{found.path.name}-{found.version}-{mark}"
    with suppress(FileNotFoundError):
        return _kept(folder)
    make_passable(cache, "templates")
    _make(service, folder, found, command, user)
    return _kept(folder)


def _kept(folder: Path) -> Template:
    os.utime(folder)  # `prune` reads this time as the last use
    return Template(folder / "data", (folder / "secret").read_text())


def _make(service: str, folder: Path, found: InstalledProgram, command: Sequence[str], user: int | None) -> None:
    with made_whole(folder) as new:
        _begin(new, user)
        done = _run(new, found, command, user)
        if done.returncode:
            raise _failure(service, command[0], done)


def _begin(new: Path, user: int | None) -> None:
    """Start a new template with its secret, which only *user* can read."""
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
    """Make *target* a copy of the template: a spare copy that was made in advance, or a new one."""
    for spare in made.data.parent.glob("spare-*"):
        with suppress(OSError):
            os.rename(spare, target)  # fails if another process was faster, or on another file system
            return
    copy_held(made.data, target)


def copy_held(data: Path, target: Path) -> None:
    """Make *target* a copy of *data*, whose folder cannot be removed at the same time.

    Raises:
        OSError: *data* no longer exists.
    """
    with held(data.parent):
        copy(data, target)


def copy(data: Path, target: Path) -> None:
    """Make *target* a copy of *data*; they share blocks if the file system can."""
    if subprocess.run(["cp", *COPY, str(data), str(target)], capture_output=True, check=False).returncode:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-Rp", str(data), str(target)], check=True)


def make_spare(made: Template) -> None:
    """Make a copy for the next instance, unless one exists, in a low-priority process that belongs to no instance."""
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
    """Remove incomplete templates, and those not used for `KEPT_SECONDS`, and return their paths; they are made again when needed.

    Templates that are being made or copied stay.

    Args:
        everything: whether to remove recently used templates, too.
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
