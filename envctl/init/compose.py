"""Find the project's Compose file, and read its services and the kinds of their images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.compose_services import Recogniser
from envctl.definition.find import COMPOSE_FILES, OVERRIDE_FILES, is_compose_file
from envctl.definition.kinds import load_kinds, recogniser
from envctl.init.compose_builds import build_folder, contents_of, made_for, serves
from envctl.init.compose_texts import pairs_of, with_defaults
from envctl.init.model import ComposeService, SeenServer
from envctl.init.project_files import ProjectFiles, as_list, as_map

USED_LIKE = {
    "minio/minio": "s3", "bitnami/minio": "s3", "localstack/localstack": "s3", "adobe/s3mock": "s3",
    "greenmail/standalone": "mail", "mongo": "mongo", "bitnami/mongodb": "mongo", "percona": "mariadb",
    "emqx/emqx": "mqtt", "hivemq/hivemq4": "mqtt",
    "redpandadata/redpanda": "kafka", "confluentinc/confluent-local": "kafka", "elasticsearch": "elasticsearch",
    "docker.elastic.co/elasticsearch/elasticsearch": "elasticsearch", "opensearchproject/opensearch": "elasticsearch",
}  # fmt: skip
"""Images without a kind of their own, each with the kind that is proposed for the same purpose."""


FOLDERS = (
    "docker",
    "compose",
    "deploy",
    "deployment",
    "scripts",
    "dev",
    "infra",
    "local",
    "test",
    "tests",
    ".docker",
    "devops",
    "hack",
    "ci",
)
"""Folders in which a project may keep its Compose file."""
LARGEST = 200_000
FOR_TESTS = ("test", "tests", "testing", "integration", "ci", "dev", "development", "local", "services", "deps", "db", "infra")
"""Parts of a Compose file's name which show that it is for tests or development; the strongest evidence comes first."""


def compose_file(project: ProjectFiles) -> PurePosixPath | None:
    """Return the Compose file to use, or None.

    This is the file that `docker compose` would read in the project's root. Without one, it is a file for tests or development, in the
    root or in a usual folder.
    """
    plain = next((PurePosixPath(name) for name in COMPOSE_FILES if project.has(PurePosixPath(name))), None)
    return plain or min(filter(_rank, project.named("*compose*.yml", "*compose*.yaml")), key=_rank, default=None)


def compose_override(project: ProjectFiles, file: PurePosixPath) -> PurePosixPath | None:
    """Return the override that `docker compose` reads together with *file* by default, or None."""
    beside = [file.with_name(name) for name in OVERRIDE_FILES] if file.name in COMPOSE_FILES else []
    return next(filter(project.has, beside), None)


def _rank(path: PurePosixPath) -> tuple[int, int, str] | tuple[()]:
    """Return a sort key: a smaller one is more likely for tests. It is empty if the file at *path* is for another purpose."""
    words = re.split(r"[._-]", path.name.removesuffix(path.suffix).lower())
    usual = path.name in COMPOSE_FILES
    purpose = next((number for number, word in enumerate(FOR_TESTS, 1) if word in words), None)
    near = len(path.parts) == 1 or (len(path.parts) <= 3 and path.parts[0] in FOLDERS)
    if not near or not is_compose_file(Path(path)) or (purpose is None and not usual):
        return ()
    return len(path.parts), 0 if usual else purpose or 0, path.name


def development_servers(project: ProjectFiles) -> list[SeenServer]:
    """Return the servers beside a development container. The development container itself is not needed by tests."""
    files = [path for path in project.named("*compose*.yml", "*compose*.yaml") if path.parts[0] == ".devcontainer"][:3]
    return [
        SeenServer(service.name, service.image, service.environment, path)
        for path in files
        for service in compose_services(project, path)
        if service.image and service.recognised
    ]


def compose_services(project: ProjectFiles, file: PurePosixPath, override: PurePosixPath | None = None) -> list[ComposeService]:
    """Return the services of *file*, merged with those of *override*. Services with a profile are left out."""
    recognise = recogniser(load_kinds(project.root))
    services = _services(project, file)
    for name, service in (_services(project, override) if override else {}).items():
        services[name] = _overridden(as_map(services.get(name)), as_map(service))
    return [
        _service(project, name, service, file, recognise)
        for name, service in services.items()
        if isinstance(service, dict) and not service.get("profiles")
    ]


def _services(project: ProjectFiles, file: PurePosixPath) -> dict[str, Any]:
    return dict(as_map(project.tree(file).get("services"))) if len(project.text(file, whole=True)) <= LARGEST else {}


def _overridden(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return one service merged as Compose does it: lists are joined, maps are merged, and other values are replaced."""
    environment = {**dict(pairs_of(below.get("environment"))), **dict(pairs_of(above.get("environment")))}
    lists: dict[str, Any] = {
        key: [*as_list(below.get(key)), *as_list(above[key])] for key in ("ports", "expose", "volumes", "profiles") if key in above
    }
    return {**below, **above, **lists, "environment": environment}


def _service(project: ProjectFiles, name: str, service: dict[str, Any], file: PurePosixPath, recognise: Recogniser) -> ComposeService:
    build, image = service.get("build"), with_defaults(str(service.get("image") or ""))
    built = made_for(project, build, file) if build else None
    based_on = built.base if built else image
    recognised = recognise(based_on) if based_on and serves(project, service, built) else None
    used_like = "" if build else USED_LIKE.get(image_name(image), "")
    return ComposeService(
        name=name,
        kind=recognised.kind if recognised else used_like,
        recognised=recognised is not None,
        build_folder=None if recognised else build_folder(build, file),
        ports=tuple(_ports(service)),
        command=f"{service.get('command') or ''} {service.get('entrypoint') or ''}",
        environment={**(built.env if built and recognised else {}), **dict(pairs_of(service.get("environment")))},
        image=based_on if recognised else image,
        contents=contents_of(project, service, file),
    )


def image_name(image: str) -> str:
    """Return *image* without Docker Hub's prefixes, tag and digest: `postgres` for `docker.io/library/postgres:17@sha256:...`."""
    name = re.sub(r":[^/:]*$", "", image.partition("@")[0])
    return name.removeprefix("docker.io/").removeprefix("library/")


def _ports(service: dict[str, Any]) -> Iterable[tuple[int, int]]:
    for port in as_list(service.get("ports")):
        if isinstance(port, dict):
            yield _number(port.get("published")), _number(port.get("target"))
        elif match := re.fullmatch(r"(?:(?:.*:)?(\d+):)?(\d+)(?:/tcp)?", with_defaults(str(port))):
            yield int(match[1] or 0), int(match[2])
    for port in as_list(service.get("expose")):
        yield 0, _number(port)


def _number(value: object) -> int:
    text = with_defaults(str(value))
    return int(text) if re.fullmatch(r"\d{1,5}", text) else 0
