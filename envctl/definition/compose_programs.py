"""The programs that the container of a Compose service runs: the server of its image, or others, such as a client or a job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envctl.definition.compose_credentials import SHELLS, Given
from envctl.definition.dockerfile import Made, made_by
from envctl.definition.source import map_texts

_CLIENT = re.compile(
    r"sleep|tail|psql|pg_\w+|createdb|mysql|mysql(?:dump|admin)|mariadb(?:-dump|-admin)?|\w+-cli|kafka-(?!server|storage)[\w-]+(?:\.sh)?|mosquitto_\w+"
    r"|rabbitmq(?:ctl|admin)|curl|wget|nats"
)
_ENTRYPOINT = re.compile(r"\S*entrypoint\S*")
"""The name of a script that prepares a server, and then starts the server or the program in its arguments."""
_IDLE = re.compile(r"sleep|tail|cat|trap|wait|true|:|done|echo")
"""Programs that only keep a container running, so that a user can run commands in it."""
_SERVER = re.compile(
    r"postgres|mysqld|mariadbd|[\w-]+-server(?:-start\.sh)?|mosquitto|nginx|memcached|mysqld_safe|mariadbd-safe|weed|mailpit|MailHog|maildev"
)


def with_dockerfile(service: Mapping[str, Any], built: Made) -> dict[str, Any]:
    """Return *service* with the variables, entry point and command of its image's Dockerfile, where it sets none itself."""
    own = map_texts(lambda text: text.replace("$", "$$"), built.told())  # Compose has doubled each `$` of the service already
    command = None if service.get("entrypoint") else own["command"]
    more = {"entrypoint": service.get("entrypoint") or own["entrypoint"], "command": service.get("command") or command}
    return {**service, **more, "environment": {**own["environment"], **(service.get("environment") or {})}}


def runs_server(programs: Sequence[str], *, built: bool) -> bool:
    """Return whether *programs* start the server of an image.

    Args:
        programs: the names of the programs that the container's command line runs.
        built: whether the image is built on a server's image. Such an image may contain anything, so an unknown program counts as
            another program. In the server's own image, an unknown program is more likely to start the server.
    """
    if not built:
        return any(map(_starts, programs)) or not any(map(_CLIENT.fullmatch, programs))
    behind = [number for number, program in enumerate(programs, 1) if _ENTRYPOINT.fullmatch(program)]
    started = programs[behind[-1] :] if behind else programs
    return not started or any(map(_SERVER.fullmatch, started))


def _starts(program: str) -> bool:
    return _SERVER.fullmatch(program) is not None or _ENTRYPOINT.fullmatch(program) is not None


def runs_its_server(service: Mapping[str, Any], build: Mapping[str, Any] | None, project: Path) -> bool:
    """Return whether the service and its Dockerfile name no program but the server of the image. A script counts as another program."""
    named = {key: value.split() if isinstance(value := service.get(key), str) else value for key in ("entrypoint", "command")}
    whole = with_dockerfile(named, made_by(build, project)) if build else named
    return runs_server(list(Given(whole, {}, project, {}).programs()), built=True)


def only_waits(service: Mapping[str, Any]) -> bool:
    """Return whether the container of a Compose service runs nothing but `sleep infinity` and the like, or an interactive shell.

    Args:
        service: the service, as Compose resolves it.
    """
    programs = list(Given(service, {}, Path(), {}).programs())
    if not programs or programs[0] not in SHELLS:
        return any(map(_IDLE.fullmatch, programs[:1]))
    run = programs[1:]
    return all(map(_IDLE.fullmatch, run)) if run else bool(service.get("tty") or service.get("stdin_open"))
