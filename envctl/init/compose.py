"""The project's Compose file: which services it has, and which kind their images are."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from typing import Any

from envctl.init.model import Composed, Name
from envctl.init.project import Project

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
LIKE = {
    "minio/minio": "s3", "bitnami/minio": "s3", "localstack/localstack": "s3", "adobe/s3mock": "s3",
    "greenmail/standalone": "mail", "mongo": "mongo", "bitnami/mongodb": "mongo", "percona": "mariadb",
    "emqx/emqx": "mqtt", "hivemq/hivemq4": "mqtt",
    "redpandadata/redpanda": "kafka", "confluentinc/confluent-local": "kafka", "elasticsearch": "elasticsearch",
    "docker.elastic.co/elasticsearch/elasticsearch": "elasticsearch", "opensearchproject/opensearch": "elasticsearch",
}  # fmt: skip
"""Images that stand where another kind would be proposed, and of which envctl has no kind."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?+])([^}]*))?\}")


def compose_file(project: Project) -> Name | None:
    """The one that `docker compose` would take at the project's root."""
    return next((Name(name) for name in FILES if project.has(Name(name))), None)


def composed(project: Project, file: Name, kinds: Mapping[str, str]) -> list[Composed]:
    """The services of *file*; *kinds* gives the kind of an image's name. Those behind a profile are left out."""
    services = project.tree(file).get("services")
    if not isinstance(services, dict):
        return []
    return [
        _composed(name, entry, file, kinds) for name, entry in services.items() if isinstance(entry, dict) and not entry.get("profiles")
    ]


def _composed(name: str, entry: dict[str, Any], file: Name, kinds: Mapping[str, str]) -> Composed:
    image = image_name(entry.get("image"))
    recognised = "" if entry.get("build") else kinds.get(image, "")
    return Composed(
        name=name,
        kind=recognised or ("" if entry.get("build") else LIKE.get(image, "")),
        recognised=bool(recognised),
        built=_build_folder(entry.get("build"), file),
        ports=tuple(_ports(entry)),
        command=f"{entry.get('command') or ''} {entry.get('entrypoint') or ''}",
        text=str(entry.get("environment") or ""),
    )


def image_name(image: object) -> str:
    """`postgres` for `docker.io/library/postgres:17@sha256:...`: how `recognise` names images."""
    text = filled(str(image or "")).partition("@")[0]
    stem, _, last = text.rpartition("/")
    text = f"{stem}/{last.partition(':')[0]}" if stem else last.partition(":")[0]
    return text.removeprefix("docker.io/").removeprefix("library/")


def filled(text: str) -> str:
    """*text* with the defaults of its variables; one without a default is nothing."""
    return _VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "", text)


def _build_folder(build: object, file: Name) -> Name | None:
    context = build.get("context") or "." if isinstance(build, dict) else build
    if not isinstance(context, str) or "://" in context or context.startswith(("/", "git@")):
        return None
    return Name(os.path.normpath(file.parent / filled(context)))


def _ports(entry: dict[str, Any]) -> Iterable[tuple[int, int]]:
    for port in _list(entry.get("ports")):
        if isinstance(port, dict):
            yield _number(port.get("published")), _number(port.get("target"))
        elif match := re.fullmatch(r"(?:(?:.*:)?(\d+):)?(\d+)(?:/tcp)?", filled(str(port))):
            yield int(match[1] or 0), int(match[2])
    for port in _list(entry.get("expose")):
        yield 0, _number(port)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    text = filled(str(value))
    return int(text) if re.fullmatch(r"\d{1,5}", text) else 0
