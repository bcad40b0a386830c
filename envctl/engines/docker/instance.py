"""An existing instance on Docker: states and logs of its containers, and commands inside them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from envctl.engines.docker.api import NOT_FOUND, ApiError, Asked
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.containers_and_volumes import remove_volume
from envctl.engines.protocol import ServiceState, TerminalCommand
from envctl.errors import EnvctlError
from envctl.instance.labels import EXPIRES, INSTANCE
from envctl.process.creation import InFlight
from envctl.process.threads import merged

MARKER, NOT_IMPLEMENTED = "expires", 501
ONE_OFF = "com.docker.compose.oneoff"
"""The label of a container that runs a single command, and so is not a service."""


def containers_of(daemon: Asked, id: str) -> list[dict[str, Any]]:
    """Return the containers of the services of *id*, as the daemon lists them."""
    wanted = {"label": [f"{INSTANCE}={id}", f"{ONE_OFF}=False"]}
    found: list[dict[str, Any]] = daemon.get("/containers/json", all="1", filters=wanted)
    return found


def adrift(container: Mapping[str, Any], networks: Collection[str]) -> bool:
    """Return whether a network of *container* was removed.

    Args:
        container: the container, as the daemon lists it.
        networks: the ids of all networks.
    """
    if container["HostConfig"]["NetworkMode"].startswith("container:"):
        return False
    its = container["NetworkSettings"]["Networks"].values()
    return not its or any(network["NetworkID"] and network["NetworkID"] not in networks for network in its)


def _gave_up(seen: Mapping[str, Any]) -> bool:
    """Return whether Docker no longer restarts the container.

    Its restart limit is reached (`on-failure:3`), or its exit code is 0 and the policy restarts it only after failures.
    """
    policy, state = seen["HostConfig"]["RestartPolicy"], seen["State"]
    most = policy.get("MaximumRetryCount") or 0
    over = not state["Running"] and not state.get("Restarting") and state["Status"] != "created"
    return over and (policy["Name"] == "on-failure" and (not state["ExitCode"] or (0 < most <= seen.get("RestartCount", 0))))


def _with_check(state: ServiceState, config: Mapping[str, Any]) -> ServiceState:
    """Return *state* with the health check of its container (from its Compose file or its image), and the seconds that Docker gives it."""
    given = config.get("Healthcheck") or {}
    how, *words = given.get("Test") or ["NONE"]
    if how == "NONE":
        return state
    shell = config.get("Shell") or ["/bin/sh", "-c"]
    every, longest, start = (given.get(key) or default for key, default in (("Interval", 30e9), ("Timeout", 30e9), ("StartPeriod", 0)))
    seconds = (start + (given.get("Retries") or 3) * (every + longest)) / 1e9
    check = (*(shell if how == "CMD-SHELL" else ()), *words)
    return state._replace(check=check, check_seconds=longest / 1e9, patience=seconds)


@dataclass
class DockerInstance:
    """The containers with the label of *id*; `_ids` caches the containers of each service."""

    connection: Connection
    id: str
    in_flight: InFlight = field(default_factory=InFlight)
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def containers(self) -> dict[str, list[str]]:
        """Return service to the ids of its containers."""
        found: dict[str, list[str]] = {}
        for container in containers_of(self.connection.daemon, self.id):
            found.setdefault(container["Labels"]["com.docker.compose.service"], []).append(container["Id"])
        return {name: sorted(ids) for name, ids in found.items()}

    def ids(self, service: str) -> list[str]:
        """Return the containers of the service, one for each replica; empty if there are none."""
        if service not in self._ids:
            self._ids = self.containers()
        return self._ids.get(service, [])

    def one_of(self, service: str) -> str:
        """Return the container of the service's first replica.

        Raises:
            EnvctlError: the service has no container.
        """
        found = self.ids(service)
        if not found:
            raise EnvctlError(f"{service}: its container is gone", hint="`envctl up` brings it back")
        return found[0]

    def state(self, service: str) -> ServiceState:
        found = [self._state(service, container) for container in self.ids(service)]
        return next((state for state in found if not state.running), found[0] if found else ServiceState())

    def _state(self, service: str, container: str) -> ServiceState:
        try:
            seen = self.connection.daemon.find(f"/containers/{container}/json")
        except ApiError as error:
            raise EnvctlError(f"Docker cannot tell the state of {service}: {error}") from error
        if seen is None:
            return ServiceState()
        state, policy = seen["State"], seen["HostConfig"].get("RestartPolicy", {}).get("Name")
        health = (state.get("Health") or {}).get("Status", "")
        status = None if state["Running"] or state["Status"] == "created" else state["ExitCode"]
        if state["Running"] and not seen["NetworkSettings"]["Networks"] and not seen["HostConfig"]["NetworkMode"].startswith("container:"):
            return ServiceState(id=container, lacks="its network was removed")
        restarts = policy not in ("", "no", None) and not _gave_up(seen)
        found = ServiceState(state["Running"], status, health, restarts, container, restarting=bool(state.get("Restarting")))
        return _with_check(found, seen.get("Config") or {})

    def states(self) -> Mapping[str, ServiceState]:
        return {name: self.state(name) for name in self.containers()}

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        for container in self.ids(service):
            yield from self._printed(service, container, tail)

    def _printed(self, service: str, container: str, tail: int | None, follow: bool = False) -> Iterator[bytes]:
        daemon = self.connection.daemon
        seen = daemon.find(f"/containers/{container}/json")
        if seen is None:
            return
        query = {"stdout": "1", "stderr": "1", "follow": str(int(follow)), "tail": "all" if tail is None else str(tail)}
        try:
            yield from daemon.printed("GET", f"/containers/{container}/logs", query, terminal=seen["Config"]["Tty"])
        except ApiError as error:
            if error.status == NOT_FOUND:
                return
            hint = (
                "`logging: {driver: none}` and drivers that send it elsewhere keep no log here" if error.status == NOT_IMPLEMENTED else ""
            )
            raise EnvctlError(f"Docker does not show the log of {service}: {error}", hint=hint) from None

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        containers = [(name, container) for name in services for container in self.ids(name)]
        for name, container in list(containers):
            try:
                list(self._printed(name, container, 0))  # raises if the log is unreadable; `merged` ignores errors
            except EnvctlError as error:
                containers.remove((name, container))
                if not containers:
                    raise
                yield name, f"{error.message}\n".encode()
        yield from merged([zip(repeat(name), self._printed(name, container, tail, True)) for name, container in containers])

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Create the marker with the new time before removing the old marker: the latest time counts."""
        daemon = self.connection.daemon
        old = [v["Name"] for v in daemon.get("/volumes", filters={"label": [f"{INSTANCE}={self.id}", EXPIRES]})["Volumes"] or []]
        name = f"{self.id}-{MARKER}-{re.sub(r'[^0-9TZ]', '', expires)}" if expires else ""
        if expires and name not in old:
            with self.in_flight.creating():
                daemon.request("POST", "/volumes/create", body={"Name": name, "Labels": {**labels, EXPIRES: expires}})
        for volume in old:
            if volume != name:
                remove_volume(daemon, volume)

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """Return a `docker exec` that takes the values of *env* from its own environment, not from its command line."""
        terminal = ["-t"] if os.isatty(0) and os.isatty(1) else []
        variables = [part for key in env for part in ("-e", key)]
        context = self.connection.context or ""
        where = ["--host" if "://" in context else "--context", context] if context else []
        line = ["docker", *where, "exec", "-i", *terminal, *variables, *(["-u", user] if user else []), self.one_of(service), *argv]
        return TerminalCommand(line, {**self.connection.environ, **env})
