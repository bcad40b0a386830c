"""A service of the plan -> the process that runs it: arguments, environment, folder, user."""

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
"""Paths that are named; a folder may have thousands."""


class Prepared(NamedTuple):
    """A service with the program that runs it."""

    service: ServicePlan
    program: InstalledProgram | None
    user: int | None
    losses: tuple[str, ...] = ()


def prepare_all(services: Iterable[ServicePlan], root: Callable[[str], Path], environ: Mapping[str, str]) -> dict[str, Prepared]:
    """Each by its name.

    Raises:
        EngineMissing: this machine cannot run some of them; all are named in one go.
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
    """Finds the program, and what is different here.

    Args:
        environ: the variables of whoever brings it up.
        root: where its files will be.

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
    """An installation may lack a part that the definition asks for, an extension say."""
    for pattern, message in service.local.missing if service.local else ():
        if not any(found.folder.parent.glob(pattern.lstrip("/"))):
            raise EngineMissing(f"{service.name}: {message}", hint="run this service on Docker, or `--use S=URL` for one that runs already")


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
    """The root of a process is this machine's; whoever wrote `files:` for a container may not think of it."""
    hidden = [path for path, file in service.files.items() if file.source is not None and not _seen(path, service, root)]
    if hidden:
        more = f" and {len(hidden) - SHOWN} more" if len(hidden) > SHOWN else ""
        yield f"its files are not at {', '.join(hidden[:SHOWN])}{more} but below a folder of its own, which ${{self.prefix}} names"


def _seen(path: str, service: ServicePlan, root: Path | None) -> bool:
    """Whether somebody tells the program where the file is: the definition, or its kind, which knows its mounts and first scripts."""
    folder = PurePosixPath(path).parent
    told = "\n".join([*service.run, *service.command, *service.env.values()])
    if root is not None and (str(root) if service.run else f"{root}{folder}") in told:
        return True
    first = [word for step in service.local.first for word in step.argv] if service.local and not service.run else []
    return str(folder) in "\n".join(first) or any(folder.is_relative_to(mount) for mount in service.mounts)


def spec_of(prepared: Prepared, root: Path, environ: Mapping[str, str]) -> Spec:
    service, found = prepared.service, prepared.program
    argv, env = (*service.run, *service.command), dict(service.env)
    own = found is None
    if found is not None and service.command[0] != "sh":  # a shell finds the program by its PATH
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
    """PATH as if the virtual environment that envctl lives in were active, unless another one is; a server's own folder comes first."""
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
