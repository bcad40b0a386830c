"""Commands in containers: in the container of a service, or in a separate container, which does not need the service to run."""

from __future__ import annotations

import socket
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import IO, Any

from envctl.engines.docker.api import ApiError, Daemon
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.containers_and_volumes import remove_container
from envctl.engines.docker.instance import ONE_OFF
from envctl.engines.logs import text
from envctl.engines.protocol import CommandResult, Execution
from envctl.instance.labels import SERVICE
from envctl.plan.model import File, Plan, ServicePlan
from envctl.process.attached import Attached
from envctl.process.creation import InFlight
from envctl.process.threads import Feeder
from envctl.render.compose import extra_hosts, labels

Key = tuple[str, tuple[str, ...]]
SPOOLED = 16 << 20
"""The bytes of an archive that are held in memory; a larger archive is in a temporary file."""


def execute(connection: Connection, container: str, what: Execution) -> CommandResult:
    """Run *what* in *container*; the exit code is 126 if it cannot be started.

    Raises:
        Exception: whatever the command's input raised.
    """
    if isinstance(what.stdin, tuple) and not what.stdin:
        return _asked(connection.daemon, container, what)
    api = connection.api
    try:
        made = api.exec_create(container, list(what.argv), stdin=True, environment=dict(what.env))
        output = _fed(api.exec_start(made["Id"], socket=True), what.stdin)
        return CommandResult(int(api.exec_inspect(made["Id"])["ExitCode"] or 0), output)
    except sdk_errors.APIError as error:
        return CommandResult(126, str(error.explanation or error))


def _asked(daemon: Daemon, container: str, what: Execution) -> CommandResult:
    """Run a command without input, such as a health check, without the SDK: importing it would delay a service that is ready."""
    wanted = {
        "Cmd": list(what.argv),
        "Env": [f"{key}={value}" for key, value in what.env.items()],
        "AttachStdout": True,
        "AttachStderr": True,
    }
    try:
        path = f"/exec/{daemon.request('POST', f'/containers/{container}/exec', body=wanted)['Id']}"
        output = text(daemon.printed("POST", f"{path}/start", body={"Detach": False, "Tty": False}))
        return CommandResult(int(daemon.get(f"{path}/json")["ExitCode"] or 0), output)
    except ApiError as error:
        return CommandResult(126, str(error))


def _fed(stream: Any, stdin: Iterable[bytes]) -> str:
    """Write *stdin* to an exec, and return both of its output streams. The input is closed at the end, even if *stdin* raised an error."""
    raw = getattr(stream, "_sock", stream)
    with closing(raw), closing(stream):  # closing one does not close the other
        feeder = Feeder(stdin, raw.sendall, lambda error: raw.shutdown(socket.SHUT_WR))
        output = text(out or err for out, err in _frames(stream))
        feeder.join()
    feeder.finish()
    return output


def _frames(stream: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield pieces of stdout and of stderr; in each pair, one is empty."""
    from docker.utils.socket import demux_adaptor, frames_iter

    for frame in frames_iter(stream, tty=False):  # type: ignore[no-untyped-call]
        out, err = demux_adaptor(*frame)
        yield out or b"", err or b""


@dataclass
class OneOffs:
    """The containers of one instance that run a single command each; `expect` creates such a container in advance."""

    connection: Connection
    plan: Plan
    in_flight: InFlight
    _made: dict[Key, Future[str]] = field(default_factory=dict)

    def expect(self, service: ServicePlan, argv: tuple[str, ...]) -> None:
        """Create the container for a later `run` of the same command, which waits for it and reports an error."""
        made = self._made[service.name, argv] = Future()
        try:
            made.set_result(self._create(service, argv))
        except sdk_errors.APIError as error:
            made.set_exception(error)

    def run(self, service: ServicePlan, argv: tuple[str, ...], attached: Attached | None = None) -> CommandResult:
        """Run *argv* in a container of its own, and remove the container; the exit code is 126 if the command cannot be started."""
        api, expected = self.connection.api, self._made.pop((service.name, argv), None)
        container = ""
        try:
            container = expected.result() if expected is not None else self._create(service, argv)
            if attached is not None:
                self._follow(container, attached)
            else:
                api.start(container)
            status = int(api.wait(container, timeout=None)["StatusCode"])
            return CommandResult(status, "" if attached else text(api.logs(container, stream=True, follow=False)))
        except sdk_errors.APIError as error:
            return CommandResult(126, str(error.explanation or error))
        finally:
            if container:
                threading.Thread(target=self._discard, args=(container,)).start()  # takes 0.2 s, and the caller need not wait

    def _follow(self, container: str, attached: Attached) -> None:
        """Attach to the container before it starts: no output is missed, and the daemon need not keep a log."""
        stream = self.connection.api.attach_socket(container)
        with closing(getattr(stream, "_sock", stream)), closing(stream):
            self.connection.api.start(container)
            attached.begins(lambda number: kill(self.connection, container, number))
            for out, err in _frames(stream):
                (attached.out if out else attached.err)(out or err)

    def _create(self, service: ServicePlan, argv: tuple[str, ...]) -> str:
        api, id = self.connection.api, self.plan.setting.id
        marks = labels(self.plan) | {SERVICE: service.name, "com.docker.compose.project": id, ONE_OFF: "True"}
        config = api.create_host_config(network_mode=id, init=True, extra_hosts=extra_hosts(self.plan, service) or None)
        with self.in_flight.creating():
            made: dict[str, Any] = api.create_container(
                service.image, list(argv[1:]), entrypoint=[argv[0]], environment=dict(service.env), labels=marks, host_config=config,
                user=None if service.user is None else f"{service.user}:{service.user}",
            )  # fmt: skip
        container = str(made["Id"])
        if service.files:
            with archive(service.files) as packed:
                api.put_archive(container, "/", packed)
        return container

    def _discard(self, container: str) -> None:
        with suppress(ApiError):
            remove_container(self.connection.daemon, container)


def kill(connection: Connection, container: str, number: int) -> None:
    """Send the signal *number* to the container; do nothing if it has ended."""
    with suppress(sdk_errors.APIError):
        connection.api.kill(container, number)


def archive(files: Mapping[str, File]) -> IO[bytes]:
    """Return a tar of *files*: readable by every user, and executable if the file is executable here."""
    packed = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 -- the caller closes it
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, file in files.items():
            with file.open() as content:
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = file.size, 0o755 if file.executable else 0o644
                tar.addfile(entry, content)
    packed.seek(0)
    return packed
