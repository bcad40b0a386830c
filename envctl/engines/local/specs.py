"""A service of the plan -> the process that runs it: arguments, environment, folder, user."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from envctl.engines.local.places import unprivileged
from envctl.engines.local.programs import SYSTEM_PATH, Found, find_program, for_everybody
from envctl.errors import EngineMissing
from envctl.plan.model import ServicePlan
from envctl.render.compose import files_hash


@dataclass(frozen=True)
class Spec:
    """What is handed to the keeper, and kept for the commands that come later."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: int | None = None
    limits: Mapping[str, int | float] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    inherits: bool = False
    """A program of the team's own gets what it would get in this shell, too. (That is not kept: there may be tokens in it.)"""
    mark: str = ""
    """A hash of what the definition says: another one means another process."""

    @property
    def environment(self) -> dict[str, str]:
        """All of its variables; options of ours are none of its business."""
        shell = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")} if self.inherits else {}
        return {"PYTHONUNBUFFERED": "1", **shell, **self.env}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Spec:
        return cls(**{**kept, "argv": tuple(kept["argv"])})


@dataclass(frozen=True)
class Prepared:
    """A service with the program that runs it."""

    service: ServicePlan
    program: Found | None
    user: int | None
    losses: tuple[str, ...] = ()


def prepare(service: ServicePlan) -> Prepared:
    """Finds the program, and what is different here.

    Raises:
        EngineMissing: this machine cannot run the service; the message says what to do.
    """
    losses: list[str] = []
    if service.local is not None and service.local.wanted > 1:
        losses.append(f"one process in the place of {service.local.wanted} replicas")
    local = service.kind.local
    if service.run or local is None:
        return Prepared(service, None, None, tuple(losses))
    assert service.local is not None
    found = find_program(local, service.local.version)
    if found is None:
        hint = f"{local.install or 'install it'}; or run this service on Docker"
        raise EngineMissing(f"{service.name}: there is no program for the kind '{service.kind.kind}' on this machine", hint=hint)
    user = unprivileged() if local.unprivileged else None
    found = for_everybody(found) if user is not None else found
    for pattern, message in service.local.missing:
        if not any(found.folder.parent.glob(pattern.lstrip("/"))):
            raise EngineMissing(f"{service.name}: {message}", hint="run this service on Docker, or `--use S=URL` for one that runs already")
    wanted = service.local.version
    if not found.python and found.version and wanted and found.version.split(".")[0] != wanted.split(".")[0]:
        losses.insert(0, f"version {found.version} in the place of {wanted}")
    if not found.python and service.command[0] not in ("sh", found.path.name):
        losses.insert(0, f"{found.path.name} in the place of {service.command[0]}")
    if service.local.image:
        losses.append(f"{found.path.name} of this machine in the place of the image {service.local.image}")
    return Prepared(service, found, user, (*losses, *local.losses))


def spec_of(prepared: Prepared, root: Path) -> Spec:
    service, found = prepared.service, prepared.program
    argv, env = (*service.run, *service.command), dict(service.env)
    own = found is None
    if found is not None and service.command[0] != "sh":  # a shell finds the program by its PATH
        argv = (str(found.path), *service.command[1:])
    said = dict(env)
    env = {**({} if own else _plain(root)), **env, "PATH": service.env.get("PATH") or search_path(found)}
    folder = str(service.folder or root) if own else str(root)
    signal = service.kind.local.stop_signal if service.kind.local and not own else "SIGTERM"
    spec = Spec(argv, env, folder, prepared.user, _limits(service), signal, own)
    template = list(service.local.template) if service.local else []
    mark = json.dumps([asdict(replace(spec, env=said)), files_hash(service), template])
    return replace(spec, mark=hashlib.sha256(mark.encode()).hexdigest())


def search_path(found: Found | None) -> str:
    """PATH as if the virtual environment that envctl lives in were active, unless another one is; a server's own folder comes first."""
    path = os.environ.get("PATH", SYSTEM_PATH)
    if found is not None and not found.python:
        return f"{found.folder}{os.pathsep}{path}"
    alone = sys.prefix != sys.base_prefix and not os.environ.get("VIRTUAL_ENV")
    here = str(Path(sys.executable).parent)
    return f"{here}{os.pathsep}{path}" if alone else f"{path}{os.pathsep}{here}"


def _plain(root: Path) -> dict[str, str]:
    return {"HOME": str(root), "LANG": "C.UTF-8"}


def _limits(service: ServicePlan) -> dict[str, int | float]:
    limit = service.resources
    if limit is None:
        return {}
    memory: dict[str, int | float] = {"memory_bytes": bytes_of(limit.memory)} if limit.memory is not None else {}
    return memory | ({"cpu": limit.cpu} if limit.cpu is not None else {})


def bytes_of(size: str) -> int:
    """Compose's sizes: `256M` and `256MiB` are the same."""
    match = re.fullmatch(r"([0-9.]+)([kmg]?)i?b?", size.lower())
    assert match is not None, size
    return int(float(match.group(1)) * 1024 ** " kmg".index(match.group(2) or " "))


def resolved(argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> tuple[str, ...]:
    """The program of *argv* by the PATH of *env*, as a shell in *cwd* finds it."""
    if "/" in argv[0]:
        return argv
    return (shutil.which(argv[0], path=env.get("PATH")) or argv[0], *argv[1:])
