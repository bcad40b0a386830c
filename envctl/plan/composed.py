"""A check for files, folders and variables that a service of a Compose file needs and the project does not have.

Docker would report them only after it has created half of the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from envctl.definition.models import Service
from envctl.definition.source import displayed
from envctl.plan.reading import Reading

Missing = tuple[str, str, str]
"""The key in the service, what is wrong, and what would be right."""


def check_composed(reading: Reading, name: str, service: Service) -> None:
    """Add a problem to *reading* for each file, folder or variable that *service* needs and that does not exist."""
    if service.from_compose:
        for key, message, hint in (*_build(service), *_shared(reading, service)):
            reading.wrong(("services", name, key), message, hint)


def _build(service: Service) -> Iterator[Missing]:
    build = service.build
    if build is None or isinstance(build, str):
        return
    context = Path(build.context)
    dockerfile = Path(context, build.dockerfile or "Dockerfile")
    if not context.is_dir():
        yield "build", f"there is no folder '{displayed(context)}'", "`build:` names the folder with the Dockerfile"
    elif build.dockerfile_inline is None and not dockerfile.is_file():
        yield "build", f"there is no file '{displayed(dockerfile)}'", "`build: {dockerfile: NAME}` names another one"


def _shared(reading: Reading, service: Service) -> Iterator[Missing]:
    """Yield the secrets and configs whose file or variable does not exist."""
    for what, singular in (("secrets", "secret"), ("configs", "config")):
        for mount in service.compose.get(what) or ():
            source = str(mount.get("source", "")) if isinstance(mount, Mapping) else str(mount)
            for message, hint in _wrong(reading, reading.loaded.compose_extra.get(what, {}).get(source) or {}):
                yield what, f"the {singular} '{source}' {message}", hint


def _wrong(reading: Reading, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if file := given.get("file"):
        path = Path(reading.loaded.folder, str(file).replace("$$", "$"))
        if not path.exists():
            yield f"is the file '{displayed(path)}', which does not exist", "create it first; it may be one that is not checked in"
    elif (variable := given.get("environment")) in reading.loaded.compose_unresolved:
        hint = f"single quotes around it, where it has no variables; or `export {variable}=...`"
        yield f"is the variable {variable}, whose value in the `.env` beside the Compose file is not understood", hint
    elif variable and variable not in reading.loaded.compose_variables:
        yield f"is the variable {variable}, which is not set", f"`export {variable}=...`, or a line in the `.env` beside the Compose file"
