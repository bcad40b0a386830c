"""Find how the image of a Compose service is built: the build context, the base image and the contents."""

from __future__ import annotations

import os.path
from pathlib import PurePosixPath
from typing import Any

from envctl.definition.compose_credentials import Given
from envctl.definition.compose_programs import runs_server, with_dockerfile
from envctl.definition.dockerfile import Made, made_by
from envctl.definition.dockerfile_syntax import instructions
from envctl.init.compose_texts import pairs_of, with_defaults, words_of
from envctl.init.image_contents import Contents, contents
from envctl.init.project_files import ProjectFiles, as_list, as_map


def build_folder(build: object, file: PurePosixPath) -> PurePosixPath | None:
    """Return the build context of *build* relative to the project; None if it is outside the project or not a folder."""
    context = build.get("context") or "." if isinstance(build, dict) else build
    if not isinstance(context, str) or "://" in context or context.startswith(("/", "git@")):
        return None
    return PurePosixPath(os.path.normpath(file.parent / with_defaults(context)))


def made_for(project: ProjectFiles, build: object, file: PurePosixPath) -> Made:
    """Return what the Dockerfile of *build*, a value in the Compose file *file*, makes."""
    told = as_map(build)
    text = str(told.get("dockerfile_inline") or _dockerfile(project, build, file))
    arguments = {name: value for name, value in pairs_of(told.get("args")) if value}
    contexts, target = dict(pairs_of(told.get("additional_contexts"))), with_defaults(str(told.get("target") or ""))
    given = {"dockerfile_inline": text, "args": arguments, "additional_contexts": contexts, "target": target}
    return made_by(given, project.root) if text else Made("")


def serves(project: ProjectFiles, service: dict[str, Any], built: Made | None) -> bool:
    """Return whether *service* runs the server of its image, or of the image that it is built on."""
    own: dict[str, Any] = {key: words_of(service.get(key)) for key in ("entrypoint", "command")}
    given = Given(with_dockerfile(own, built) if built else own, {}, project.root, {})
    return runs_server(list(given.programs()), built=built is not None)


def contents_of(project: ProjectFiles, service: dict[str, Any], file: PurePosixPath) -> Contents:
    """Return the contents of the service's image: every file, if the image is not built or a folder of the project is mounted."""
    build = service.get("build")
    sources = [str(as_map(volume).get("source") or volume).partition(":")[0] for volume in as_list(service.get("volumes"))]
    if build_folder(build, file) is None or any(source.startswith(".") for source in sources):
        return Contents()
    return contents(instructions(_dockerfile(project, build, file)))


def _dockerfile(project: ProjectFiles, build: object, file: PurePosixPath) -> str:
    folder = build_folder(build, file)
    name = with_defaults(str(as_map(build).get("dockerfile") or "Dockerfile"))
    return project.text(PurePosixPath(os.path.normpath(folder / name))) if folder is not None else ""
