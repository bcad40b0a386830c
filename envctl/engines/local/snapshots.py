"""Snapshots as folders in this user's cache, for servers that are processes of this machine."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from envctl.engines.local import templates
from envctl.engines.local.folders import made_whole, remove_unless_held, unprivileged
from envctl.engines.local.programs import InstalledProgram
from envctl.engines.protocol import Saved
from envctl.errors import EnvctlError
from envctl.instance.record import SnapshotRecord
from envctl.plan.model import ServicePlan

DATA, CONTENT = "data", "content"
"""The names in a snapshot's folder: its data, and a file with a random text that identifies its content."""
KEY = re.compile("[0-9a-f]{32}")
LARGEST_SPARE = 100_000_000
"""The largest data, in bytes, of which a spare copy is made."""


def restored(service: ServicePlan, kept: SnapshotRecord | None) -> ServicePlan:
    """Return *service* with the settings that data from the snapshot *kept* needs."""
    told = service.snapshot
    if kept is None or told is None:
        return service
    files, env = {**service.files, **told.files}, {**service.env, **told.env}
    return replace(service, files=files, env=env, command=(*service.command, *told.arguments))


def identity(found: InstalledProgram | None) -> str:
    """Return an id of the program: another version or another installation may not be able to read the same data."""
    if found is None:
        return ""
    seen = found.path.stat()
    return f"{found.path} {found.version} {seen.st_mtime_ns} {seen.st_size}"


def save(home: Path, key: str, data: Path) -> Saved:
    """Copy *data* to the snapshot *key* in *home*; the copy gets this name when it is complete."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unless_held(home / key)
    with made_whole(home / key) as new:
        templates.copy(data, new / DATA)
        (new / CONTENT).write_text(secrets.token_hex(16))
    return Saved(key, content(home, key), _size(home / key / DATA))


def content(home: Path, key: str) -> str:
    """Return the text that identifies the content of a snapshot; empty if the snapshot does not exist."""
    with suppress(OSError):
        return (home / key / CONTENT).read_text()
    return ""


def remove(home: Path, key: str) -> bool:
    """Remove the snapshot, and return whether it is gone; a snapshot that is being copied stays."""
    return not (home / key).exists() or remove_unless_held(home / key)


def kept(home: Path) -> Sequence[tuple[str, str]]:
    """Return name and key of each snapshot, including incomplete ones."""
    return [(folder.name, folder.name.strip(".").split(".")[0]) for folder in home.glob("*/")]


def write(home: Path, key: str, file: Path) -> None:
    """Write the snapshot to *file* as a tar."""
    with tarfile.open(file, "w") as tar:
        for part in (CONTENT, DATA):
            tar.add(home / key / part, part)


def read(home: Path, key: str, file: Path) -> str:
    """Read the snapshot *key* from *file*, and return the text that identifies its content.

    Raises:
        EnvctlError: *key* is not the key of a snapshot; or *file* is not a tar, or has links or paths that lead out of its folder.
    """
    if not KEY.fullmatch(key):
        raise EnvctlError(f"{file}: '{key}' is not the key of a snapshot")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unless_held(home / key)
    with made_whole(home / key) as new:
        try:
            with tarfile.open(file, "r:") as tar:
                tar.extractall(new, filter=_plain)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise EnvctlError(f"{file} is not a snapshot: {error}") from None
        _belongs(new / DATA, unprivileged())
    return content(home, key)


def _plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Accept only files and folders: data of servers needs no links, and links have been used to escape from Python's own filter."""
    if not (member.isreg() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, folder)


def _belongs(data: Path, user: int | None) -> None:
    """Give the data to the user that servers run as, and to no other user."""
    data.chmod(0o700)
    for path in [data, *data.rglob("*")] if user is not None else ():
        os.chown(path, user or 0, user or 0, follow_symlinks=False)


def fill(home: Path, began_as: SnapshotRecord, target: Path) -> None:
    """Make *target* a copy of the snapshot, or a spare copy that was made in advance.

    Raises:
        EnvctlError: the snapshot was removed at this moment.
    """
    shutil.rmtree(target, ignore_errors=True)  # `cp` would put the copy inside an existing folder
    try:
        templates.fill(_template(home, began_as), target)
    except OSError:
        raise EnvctlError("a snapshot was just removed", hint="run the same command again; it creates the data again") from None


def make_spare(home: Path, began_as: SnapshotRecord) -> None:
    """Make a copy for the next instance in the background, unless the snapshot is large."""
    if _size(home / began_as.ref / DATA) < LARGEST_SPARE:
        templates.make_spare(_template(home, began_as))


def _template(home: Path, began_as: SnapshotRecord) -> templates.Template:
    return templates.Template(home / began_as.ref / DATA, "")


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))
