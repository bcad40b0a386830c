"""Commands in containers of their own: the image, environment, files and network of a service, before it starts."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from envctl.engines.docker import sdk
from envctl.engines.docker.archive import archive
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.instance import ONE_OFF
from envctl.engines.seam import CommandResult
from envctl.instance.labels import SERVICE
from envctl.plan.model import Plan, ServicePlan
from envctl.process.creation import InFlight
from envctl.render.compose import extra_hosts, labels

Key = tuple[str, tuple[str, ...]]


@dataclass
class OneOffs:
    """One instance's; a container that is expected is there before its command's turn comes."""

    connection: Connection
    plan: Plan
    in_flight: InFlight
    _made: dict[Key, Future[str]] = field(default_factory=dict)

    def expect(self, service: ServicePlan, argv: tuple[str, ...]) -> None:
        """Creates the container; whoever runs the command waits for it, and meets the error if there is one."""
        made = self._made[service.name, argv] = Future()
        try:
            made.set_result(self._create(service, argv))
        except sdk.APIError as error:
            made.set_exception(error)

    def run(self, service: ServicePlan, argv: tuple[str, ...]) -> CommandResult:
        """What *argv* printed, and its exit status."""
        api, expected = self.connection.api, self._made.pop((service.name, argv), None)
        try:
            container = expected.result() if expected is not None else self._create(service, argv)
        except sdk.APIError as error:
            return CommandResult(126, str(error.explanation or error))
        try:
            api.start(container)
            status = api.wait(container, timeout=None)["StatusCode"]
            return CommandResult(int(status), api.logs(container).decode(errors="replace"))
        except sdk.APIError as error:
            return CommandResult(126, str(error.explanation or error))
        finally:
            threading.Thread(target=self._discard, args=(container,)).start()  # 0.2 s that nobody need wait for

    def _create(self, service: ServicePlan, argv: tuple[str, ...]) -> str:
        api, id = self.connection.api, self.plan.setting.id
        marks = labels(self.plan) | {
            SERVICE: service.name,
            "com.docker.compose.project": id,
            ONE_OFF: "True",
        }
        config = api.create_host_config(network_mode=id, init=True, extra_hosts=extra_hosts(self.plan, service) or None)
        with self.in_flight.creating():
            made: dict[str, Any] = api.create_container(
                service.image, list(argv[1:]), entrypoint=[argv[0]], environment=dict(service.env), labels=marks, host_config=config,
                user=None if service.user is None else f"{service.user}:{service.user}",
            )  # fmt: skip
        container = str(made["Id"])
        if service.files:
            api.put_archive(container, "/", archive(service.files))
        return container

    def _discard(self, container: str) -> None:
        with suppress(sdk.APIError):
            self.connection.api.remove_container(container, force=True, v=True)
