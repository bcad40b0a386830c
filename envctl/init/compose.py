"""The project's Compose file: which services it has, and which kind their images are."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from envctl.definition.compose_services import Recogniser
from envctl.definition.find import COMPOSE_FILES
from envctl.definition.kinds import load_kinds, recogniser
from envctl.init.model import ComposeService
from envctl.init.project_files import ProjectFiles, as_list, as_map

USED_LIKE = {
    "minio/minio": "s3", "bitnami/minio": "s3", "localstack/localstack": "s3", "adobe/s3mock": "s3",
    "greenmail/standalone": "mail", "mongo": "mongo", "bitnami/mongodb": "mongo", "percona": "mariadb",
    "emqx/emqx": "mqtt", "hivemq/hivemq4": "mqtt",
    "redpandadata/redpanda": "kafka", "confluentinc/confluent-local": "kafka", "elasticsearch": "elasticsearch",
    "docker.elastic.co/elasticsearch/elasticsearch": "elasticsearch", "opensearchproject/opensearch": "elasticsearch",
}  # fmt: skip
"""Images that no kind recognises, and the kind that would be proposed for what they do."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?+])([^}]*))?\}")


def compose_file(project: ProjectFiles) -> PurePosixPath | None:
    """The one that `docker compose` would take at the project's root."""
    return next((PurePosixPath(name) for name in COMPOSE_FILES if project.has(PurePosixPath(name))), None)


def compose_services(project: ProjectFiles, file: PurePosixPath) -> list[ComposeService]:
    """The services of *file*; those behind a profile are left out."""
    recognise = recogniser(load_kinds(project.root))
    services = as_map(project.tree(file).get("services"))
    return [
        _service(name, service, file, recognise)
        for name, service in services.items()
        if isinstance(service, dict) and not service.get("profiles")
    ]


def _service(name: str, service: dict[str, Any], file: PurePosixPath, recognise: Recogniser) -> ComposeService:
    build, image = service.get("build"), _with_defaults(str(service.get("image") or ""))
    recognised = recognise(image) if image and not build else None
    used_like = "" if build else USED_LIKE.get(image_name(image), "")
    return ComposeService(
        name=name,
        kind=recognised.kind if recognised else used_like,
        recognised=recognised is not None,
        build_folder=_build_folder(build, file),
        ports=tuple(_ports(service)),
        command=f"{service.get('command') or ''} {service.get('entrypoint') or ''}",
        environment=str(service.get("environment") or ""),
    )


def image_name(image: str) -> str:
    """`postgres` for `docker.io/library/postgres:17@sha256:...`."""
    name = re.sub(r":[^/:]*$", "", image.partition("@")[0])
    return name.removeprefix("docker.io/").removeprefix("library/")


def _with_defaults(text: str) -> str:
    """*text* with the defaults of its variables; one without a default is nothing."""
    return _VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "", text)


def _build_folder(build: object, file: PurePosixPath) -> PurePosixPath | None:
    context = build.get("context") or "." if isinstance(build, dict) else build
    if not isinstance(context, str) or "://" in context or context.startswith(("/", "git@")):
        return None
    return PurePosixPath(os.path.normpath(file.parent / _with_defaults(context)))


def _ports(service: dict[str, Any]) -> Iterable[tuple[int, int]]:
    for port in as_list(service.get("ports")):
        if isinstance(port, dict):
            yield _number(port.get("published")), _number(port.get("target"))
        elif match := re.fullmatch(r"(?:(?:.*:)?(\d+):)?(\d+)(?:/tcp)?", _with_defaults(str(port))):
            yield int(match[1] or 0), int(match[2])
    for port in as_list(service.get("expose")):
        yield 0, _number(port)


def _number(value: object) -> int:
    text = _with_defaults(str(value))
    return int(text) if re.fullmatch(r"\d{1,5}", text) else 0
