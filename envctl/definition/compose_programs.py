"""What a container of a known image runs: the image's server, a client of it, or anything else that is in the image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl.definition.compose_credentials import Given
from envctl.definition.dockerfile import Made, made_by
from envctl.definition.source import map_texts

_CLIENT = re.compile(
    r"sleep|tail|psql|pg_\w+|createdb|mysql|mysql(?:dump|admin)|mariadb(?:-dump|-admin)?|\w+-cli|kafka-(?!server|storage)[\w-]+(?:\.sh)?|mosquitto_\w+"
    r"|rabbitmq(?:ctl|admin)|curl|wget|nats"
)
_SERVER = re.compile(r"postgres|mysqld|mariadbd|[\w-]+-server(?:-start\.sh)?|mosquitto|nginx|memcached|\S*entrypoint\S*")


def with_dockerfile(service: Mapping[str, Any], built: Made) -> dict[str, Any]:
    """*service* as Compose resolves it, with what the Dockerfile of its image says below that."""
    own = map_texts(lambda text: text.replace("$", "$$"), built.told())  # Compose has doubled those of the service
    command = None if service.get("entrypoint") else own["command"]
    more = {"entrypoint": service.get("entrypoint") or own["entrypoint"], "command": service.get("command") or command}
    return {**service, **more, "environment": {**own["environment"], **(service.get("environment") or {})}}


def is_client(given: Given) -> bool:
    """Whether it is the image of a server that runs something else: a client, a job, nothing at all."""
    programs = list(given.programs())
    return any(map(_CLIENT.fullmatch, programs)) and not any(map(_SERVER.fullmatch, programs))


def runs_its_server(service: Mapping[str, Any], build: Mapping[str, Any] | None, project: Path) -> bool:
    """Whether no other program is named, by the service or its Dockerfile, than the server of its image: a script may be anything."""
    named = {key: value.split() if isinstance(value := service.get(key), str) else value for key in ("entrypoint", "command")}
    whole = with_dockerfile(named, made_by(build, project)) if build else named
    programs = list(Given(whole, {}, project, {}).programs())
    return not programs or any(map(_SERVER.fullmatch, programs))
