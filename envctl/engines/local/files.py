"""The files of a service below its folder, for its user's eyes only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from envctl.plan.model import File, ServicePlan


def write_files(root: Path, service: ServicePlan, user: int | None) -> None:
    """What lies at /path in a container lies at root/path; folders that files are put into are there even if there are none."""
    for folder in (*service.mounts, *service.writable):
        _folder(root, root / folder.lstrip("/"), user)
    for path, file in service.files.items():
        target = root / path.lstrip("/")
        _folder(root, target.parent, user)
        _write(target, file)
        if user is not None:
            os.chown(target, user, user, follow_symlinks=False)


def _folder(root: Path, folder: Path, user: int | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in _between(root, folder) if user is not None else ():
        os.chown(each, user or 0, user or 0, follow_symlinks=False)


def _between(root: Path, folder: Path) -> Iterator[Path]:
    while folder != root:
        yield folder
        folder = folder.parent


def _write(target: Path, file: File) -> None:
    target.unlink(missing_ok=True)
    if file.text is not None:
        target.write_text(file.text, "utf-8", newline="")
    elif file.source is not None:
        shutil.copyfile(file.source, target)
    executable = file.source is not None and os.access(file.source, os.X_OK)
    target.chmod(0o700 if executable else 0o600)
