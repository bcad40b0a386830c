"""The process that runs a service of the plan: its arguments, environment, folder and user."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from envctl.engines.local.folders import cache_folder, unprivileged
from envctl.engines.local.instance import Spec
from envctl.engines.local.programs import SYSTEM_PATH, InstalledProgram, find_program, for_everybody
from envctl.errors import EngineMissing
from envctl.plan.model import LocalProgram, ServicePlan
from envctl.render.compose import files_hash

SHOWN = 3
"""The number of paths that a message lists; a folder may have thousands."""


class Prepared(NamedTuple):
    """A service with the program that runs it (None for the team's own), the user id for it, and what is not supported here."""

    service: ServicePlan
    program: InstalledProgram | None
    user: int | None
    losses: tuple[str, ...] = ()


def prepare_all(services: Iterable[ServicePlan], root: Callable[[str], Path], environ: Mapping[str, str]) -> dict[str, Prepared]:
    """Prepare each service, and return the results by name.

    Args:
        root: returns the folder for a service's files.
        environ: the environment variables of the caller.

    Raises:
        EngineMissing: this machine cannot run some of the services; the message names all of them.
    """
    found, missing = {}, []
    for service in services:
        try:
            found[service.name] = prepare(service, environ, root(service.name))
        except EngineMissing as error:
            missing.append(error)
    if missing:
        hints = dict.fromkeys(error.hint for error in missing if error.hint)
        raise EngineMissing("; ".join(error.message for error in missing), hint="\n  ".join(hints))
    return found


def prepare(service: ServicePlan, environ: Mapping[str, str], root: Path | None = None) -> Prepared:
    """Find the program of a service, and what is not supported here.

    Args:
        environ: the environment variables of the caller.
        root: the folder for the service's files.

    Raises:
        EngineMissing: this machine cannot run the service; the message says what to do.
    """
    program = service.local.program if service.local else None
    if program is None:
        return Prepared(service, None, None, (*_losses(service, None), *_elsewhere(service, root)))
    found, user = _program(service, program, environ.get("PATH")), unprivileged() if program.unprivileged else None
    found = for_everybody(found, cache_folder(environ)) if user is not None else found
    _refuse_half(service, found)
    losses = (*_losses(service, found), *program.losses, *_elsewhere(service, root))
    return Prepared(service, found, user, losses)


def _program(service: ServicePlan, program: LocalProgram, path: str | None) -> InstalledProgram:
    found = find_program(program, service.local.version if service.local else "", path)
    if found is None:
        hint = f"{program.install or 'install it'}; or run this service on Docker"
        raise EngineMissing(f"{service.name}: there is no program for the kind '{service.kind}' on this machine", hint=hint)
    return found


def _refuse_half(service: ServicePlan, found: InstalledProgram) -> None:
    """Raise EngineMissing if the installation lacks a part that the definition needs, such as an extension."""
    for pattern, message in service.local.missing if service.local else ():
        if not any(found.folder.parent.glob(pattern.lstrip("/"))):
            raise EngineMissing(f"{service.name}: {message}", hint="run this service on Docker, or `--use S=URL` for one that is running")


def _losses(service: ServicePlan, found: InstalledProgram | None) -> Iterator[str]:
    wanted, replicas, image = (service.local.version, service.local.wanted, service.local.image) if service.local else ("", 1, "")
    if found is not None and found.loss:
        yield found.loss
    if found is not None and not found.python:
        if service.command[0] not in ("sh", found.path.name):
            yield f"{found.path.name} instead of {service.command[0]}"
        if found.version and wanted and found.version.split(".")[0] != wanted.split(".")[0]:
            yield f"{service.local.title or found.path.name} {found.version} (installed here) instead of {wanted}"  # type: ignore[union-attr]
    if replicas > 1:
        yield f"one process instead of {replicas} replicas"
    if found is not None and image:
        yield f"{found.path.name} of this machine instead of the image {image}"


def _elsewhere(service: ServicePlan, root: Path | None) -> Iterator[str]:
    """Report files that the program may look for at their path in a container: a process sees the root folder of this machine."""
    hidden = [path for path, file in service.files.items() if file.source is not None and not _seen(path, service, root)]
    if hidden:
        more = f" and {len(hidden) - SHOWN} more" if len(hidden) > SHOWN else ""
        yield f"its files are not at {', '.join(hidden[:SHOWN])}{more}, but in a folder of its own, ${{self.prefix}}"


def _seen(path: str, service: ServicePlan, root: Path | None) -> bool:
    """Return whether the program is told where the file is: by the definition, or by its kind, which has mounts and first commands."""
    folder = PurePosixPath(path).parent
    told = "\n".join([*service.run, *service.command, *service.env.values()])
    if root is not None and (str(root) if service.run else f"{root}{folder}") in told:
        return True
    first = [word for step in service.local.first for word in step.argv] if service.local and not service.run else []
    return str(folder) in "\n".join(first) or any(folder.is_relative_to(mount) for mount in service.mounts)


def spec_of(prepared: Prepared, root: Path, environ: Mapping[str, str]) -> Spec:
    """Return the process for *prepared*, with its files below *root*."""
    service, found = prepared.service, prepared.program
    argv, env = (*service.run, *service.command), dict(service.env)
    own = found is None
    if found is not None and service.command[0] != "sh":  # a shell finds the program through its PATH
        argv = (str(found.path), *found.arguments, *service.command[1:])
    said = dict(env)
    env = {**({} if own else {"HOME": str(root), "LANG": "C.UTF-8"}), **env, "PATH": service.env.get("PATH") or search_path(found, environ)}
    folder = str(service.folder or root) if own else str(root)
    signal = service.local.program.stop_signal if service.local and service.local.program else "SIGTERM"
    spec = Spec(argv, env, folder, prepared.user, _limits(service), signal, own)
    template = list(service.local.template) if service.local else []
    mark = json.dumps([asdict(replace(spec, env=said)), files_hash(service), template])
    return replace(spec, mark=hashlib.sha256(mark.encode()).hexdigest())


def search_path(found: InstalledProgram | None, environ: Mapping[str, str]) -> str:
    """Return the PATH for a process: a server's own folder comes first.

    For all other programs, the folder of envctl's Python comes first if it is a virtual environment and no other one is active; else it
    comes last.
    """
    path = environ.get("PATH", SYSTEM_PATH)
    if found is not None and not found.python:
        return f"{found.folder}{os.pathsep}{path}"
    alone = sys.prefix != sys.base_prefix and not environ.get("VIRTUAL_ENV")
    here = str(Path(sys.executable).parent)
    return f"{here}{os.pathsep}{path}" if alone else f"{path}{os.pathsep}{here}"


def _limits(service: ServicePlan) -> dict[str, int | float]:
    limit = service.resources
    found = {"memory_bytes": limit.memory, "cpu": limit.cpu} if limit is not None else {}
    return {name: value for name, value in found.items() if value is not None}
