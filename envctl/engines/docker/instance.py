"""An instance on Docker that is there: its containers' states, logs, and commands inside them."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from envctl.engines import CommandResult, Execution, ServiceState, TerminalCommand
from envctl.engines.docker.api import ApiError
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.networks import Asked
from envctl.errors import EnvctlError
from envctl.process.creation import creating
from envctl.process.threads import merged

MARKER = "expires"


def containers_of(daemon: Asked, id: str) -> list[dict[str, Any]]:
    """Of the services of *id*, as the daemon lists them."""
    wanted = {"label": [f"envctl.instance={id}", "com.docker.compose.oneoff=False"]}
    found: list[dict[str, Any]] = daemon.get("/containers/json", all="1", filters=wanted)
    return found


@dataclass
class DockerInstance:
    """The containers that carry the label of *id*; `_ids` are those of each service, once asked for."""

    connection: Connection
    id: str
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def containers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for container in containers_of(self.connection.daemon, self.id):
            found.setdefault(container["Labels"]["com.docker.compose.service"], []).append(container["Id"])
        return {name: sorted(ids) for name, ids in found.items()}

    def ids(self, service: str) -> list[str]:
        if service not in self._ids:
            self._ids = self.containers()
        if service not in self._ids:
            raise EnvctlError(f"{service}: its container is not there", hint="`envctl up` brings it back")
        return self._ids[service]

    def state(self, service: str) -> ServiceState:
        found = [self._state(container) for container in self.ids(service)]
        return next((state for state in found if not state.running), found[0])

    def _state(self, container: str) -> ServiceState:
        try:
            seen = self.connection.daemon.get(f"/containers/{container}/json")
        except ApiError:
            return ServiceState(False, None)
        state, policy = seen["State"], seen["HostConfig"].get("RestartPolicy", {}).get("Name")
        health = (state.get("Health") or {}).get("Status", "")
        begun = state["Status"] != "created"
        return ServiceState(
            state["Running"],
            state["ExitCode"] if begun and not state["Running"] else None,
            health,
            policy not in ("", "no", None),
            container,
        )

    def states(self) -> Mapping[str, ServiceState]:
        return {name: self.state(name) for name in self.containers()}

    def execute(self, service: str, what: Execution) -> CommandResult:
        from docker.errors import APIError

        api, container = self.connection.api, self.ids(service)[0]
        given = what.stdin if not isinstance(what.stdin, tuple) or what.stdin else None
        try:
            made = api.exec_create(container, list(what.argv), stdin=given is not None, environment=dict(what.env))
            output = _fed(api.exec_start(made["Id"], socket=True), what.stdin if given is not None else ())
            return CommandResult(int(api.exec_inspect(made["Id"])["ExitCode"] or 0), output)
        except APIError as error:
            return CommandResult(126, str(error.explanation or error))

    def logs(self, service: str, tail: int | None = None) -> str:
        texts = [self.connection.api.logs(id, tail="all" if tail is None else tail).decode(errors="replace") for id in self.ids(service)]
        return "".join(texts)

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        """Service and piece of output, as they come, until all have ended."""
        last: Any = "all" if tail is None else tail
        logs = {name: self.connection.api.logs(self.ids(name)[0], stream=True, follow=True, tail=last) for name in services}
        yield from merged([zip(repeat(name), stream) for name, stream in logs.items()])

    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None:
        """The marker of the new time is made before the old one goes; the latest counts."""
        from docker.errors import NotFound

        api = self.connection.api
        old = [v["Name"] for v in api.volumes(filters={"label": [f"envctl.instance={self.id}", "envctl.expires"]})["Volumes"] or []]
        name = f"{self.id}-{MARKER}-{re.sub(r'[^0-9TZ]', '', expires)}" if expires else ""
        if expires and name not in old:
            with creating():
                api.create_volume(name, labels={**marks, "envctl.expires": expires})
        for volume in old:
            if volume != name:
                with suppress(NotFound):
                    api.remove_volume(volume)

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """The Docker program, which takes the values of *env* from its own environment."""
        terminal = ["-t"] if os.isatty(0) and os.isatty(1) else []
        variables = [part for key in env for part in ("-e", key)]
        context = self.connection.context or ""
        where = ["--host" if "://" in context else "--context", context] if context else []
        line = ["docker", *where, "exec", "-i", *terminal, *variables, *(["-u", user] if user else []), self.ids(service)[0], *argv]
        return TerminalCommand(line, {**os.environ, **env})


def _fed(stream: Any, stdin: Iterable[bytes]) -> str:
    """Both output streams of an exec, while *stdin* is written to it and then closed for writing.

    Raises:
        Exception: whatever *stdin* raised; the command sees its input end.
    """
    from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

    errors: list[Exception] = []
    writer = threading.Thread(target=_write, args=(getattr(stream, "_sock", stream), stdin, errors), daemon=True)
    writer.start()
    frames = (demux_adaptor(*frame) for frame in frames_iter(stream, tty=False))  # type: ignore[no-untyped-call]
    output = consume_socket_output((part for out, err in frames for part in (out or err,)), demux=False)
    writer.join()
    stream.close()
    if errors:
        raise errors[0]
    return (output or b"").decode(errors="replace")


def _write(raw: Any, stdin: Iterable[bytes], errors: list[Exception]) -> None:
    try:
        for piece in stdin:
            raw.sendall(piece)
    except OSError:
        pass  # the command ended before it had read everything; its status says so
    except Exception as error:
        errors.append(error)
    with suppress(OSError):
        raw.shutdown(socket.SHUT_WR)
