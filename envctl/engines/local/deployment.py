"""One instance of local processes with its plan: this module writes the files, and the keeper starts the processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from envctl.engines import listening
from envctl.engines.free_ports import nobody_has
from envctl.engines.local import snapshots
from envctl.engines.local.folders import cache_folder, make_services_folder, services_folder, write_files
from envctl.engines.local.instance import LOGS, LocalInstance, Spec, resolved, run
from envctl.engines.local.specs import Prepared, prepare, prepare_all, spec_of
from envctl.engines.local.templates import Template, fill, make_spare, template
from envctl.engines.logs import text
from envctl.engines.protocol import CommandResult, DeploymentSettings, Execution, PortTaken, Progress, Saved
from envctl.errors import EnvctlError, Evidence, ServiceFailed
from envctl.instance.folder import snapshots_folder
from envctl.instance.labels import ENGINE
from envctl.instance.record import Location, SnapshotRecord
from envctl.keeper import system
from envctl.keeper.process_marks import MARK, PROCESS, kill_marked
from envctl.keeper_client.client import QUICK, KeeperClient, KeeperGone
from envctl.plan.model import Plan, ServicePlan
from envctl.process.attached import Attached, run_attached
from envctl.process.threads import guarded_thread

TAKEN = ("address already in use", "address in use", "eaddrinuse")
LIMITS = {"memory_bytes": "memory", "cpu": "CPU"}
BESIDE = "#beside"
"""The end of the name of a command that runs beside a service."""
FIRST_TIMEOUT, AGAIN = 30.0, 0.003
"""The seconds in which a server must answer its first command, and the seconds between two attempts."""


@dataclass
class LocalDeployment(LocalInstance):
    """The services of the plan that are processes of this machine."""

    plan: Plan = field(kw_only=True)
    settings: DeploymentSettings = field(kw_only=True)
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    _say: Progress = lambda service, text: None
    _once: int = 0
    _began: Mapping[str, SnapshotRecord] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._began = self.settings.snapshots

    def root(self, service: str) -> Path:
        return services_folder(self.id, self.host.keepers.home) / service

    def prepare(self, say: Progress) -> None:
        """Find the programs, initialise the data directories, and report what is not supported here.

        Raises:
            EngineMissing: programs are missing; the message names all of them.
            ServiceFailed: a data directory cannot be initialised.
        """
        self._say = say
        self._prepared |= prepare_all(self.plan.services.values(), self.root, self.host.environ)
        told = self.specs()
        for service in self.plan.services.values():
            prepared = self._prepared[service.name]
            for loss in prepared.losses if service.name not in told else ():
                say("", f"{service.name}: {loss}")
            if self._template(prepared) is None and service.local and service.local.template:
                say(service.name, "initialising")

    def _template(self, prepared: Prepared) -> Template | None:
        local, found = prepared.service.local, prepared.program
        if local is None or not local.template or found is None:
            return None
        return template(cache_folder(self.host.environ), prepared.service.name, found, local.template, prepared.user)

    def place(self, service: ServicePlan) -> Location:
        return Location("local")

    def identity(self, service: ServicePlan) -> str:
        return snapshots.identity(self._found(service).program)

    def holds(self, service: ServicePlan) -> bool:
        return False

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        self._began = snapshots

    def save(self, service: ServicePlan, key: str) -> Saved:
        """Save the data of a server that has ended with 0; a server that was killed has no exit code, or another one."""
        state = self.state(service.name)
        if state.running or state.status:
            raise EnvctlError(f"{service.name} did not end cleanly ({state.status}): its data is not kept")
        return snapshots.save(self._snapshots_home, key, self._data(service))

    @property
    def _snapshots_home(self) -> Path:
        return snapshots_folder(self.host.environ)

    def _data(self, service: ServicePlan) -> Path:
        return self.root(service.name) / (service.data or "").lstrip("/")

    def create(self, *, whole: bool = True) -> None:
        """Create folders, files and data of new services, stop changed services, and remove services that are no longer in the plan."""
        with self.settings.in_flight.creating():
            self._create(whole)

    def _create(self, whole: bool) -> None:
        make_services_folder(self.id, self.host.keepers.home)
        (self.state_folder / LOGS).mkdir(mode=0o700, exist_ok=True)
        before = self.specs()
        after = {} if whole else dict(before)
        for service in self.plan.services.values():
            service = snapshots.restored(service, self._began.get(service.name))
            prepared = self._found(service)._replace(service=service)
            after[service.name] = spec = spec_of(prepared, self.root(service.name), self.host.environ)
            if service.name in before and before[service.name].mark != spec.mark:
                self.stop(service)
            self._make(service, spec)
        for name in before.keys() - after.keys():
            self._stopped(name, 0.0)
            shutil.rmtree(self.root(name), ignore_errors=True)
        self.keep_specs(after, {**self.settings.labels, ENGINE: self.plan.setting.engine.name})

    def _found(self, service: ServicePlan) -> Prepared:
        if service.name not in self._prepared:
            self._prepared[service.name] = prepare(service, self.host.environ)
        return self._prepared[service.name]

    def _make(self, service: ServicePlan, spec: Spec) -> None:
        root = self.root(service.name)
        fresh = not (root / ".data_id").exists()
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(mode=0o700)
        write_files(root, service, spec.user)
        if fresh:
            self._fill(service)
            (root / ".data_id").write_text(secrets.token_hex(8))
        if spec.user is not None:
            os.chown(root, spec.user, spec.user)

    def _fill(self, service: ServicePlan) -> None:
        """Fill the data directory from the snapshot or the template; without them, make an empty one."""
        prepared = self._found(service)
        made = self._template(prepared)
        if service.data is None:
            return
        data = self._data(service)
        data.parent.mkdir(parents=True, exist_ok=True)
        if service.name in self._began:
            snapshots.fill(self._snapshots_home, self._began[service.name], data)
        elif made is not None:
            fill(made, data)
        else:
            data.mkdir(exist_ok=True)
            if prepared.user is not None:
                os.chown(data, prepared.user, prepared.user)

    def start(self, service: ServicePlan) -> None:
        """Start the process; the first commands of new data run before this returns."""
        if self.state(service.name).running:
            return
        spec = self.spec(service.name)
        if service.name in self._began:
            self._before(service, spec)
        self._start(service.name, service.name, spec)
        self._first(service, spec)

    def _before(self, service: ServicePlan, spec: Spec) -> None:
        """Run the script that prepares new data from a snapshot, for example its passwords; such data needs no first commands."""
        done, script = self.root(service.name) / ".first", service.snapshot.before if service.snapshot else ""
        if done.exists():
            return
        if script:
            env = {**spec.environment(self.host.environ), MARK: self.id}
            ran = run(resolved(("sh", "-ec", script), env, spec.cwd), env, spec)
            if ran.status:
                evidence = Evidence(service.name, "restore", exit_status=ran.status, logs=tuple(ran.output.splitlines()[-40:]))
                raise ServiceFailed(f"{service.name}: its data cannot be restored", evidence)
        done.touch()

    def _start(self, name: str, service: str, spec: Spec, argv: Sequence[str] = ()) -> None:
        env = spec.environment(self.host.environ)
        body = {
            "name": name, "argv": resolved(tuple(argv) or spec.argv, env, spec.cwd), "env": env, "cwd": spec.cwd,
            "log": str(self.log_file(name)), "user": spec.user, "limits": dict(spec.limits), "stop_signal": spec.stop_signal,
        }  # fmt: skip
        with self.settings.in_flight.creating():
            status, answer = self._keeper().ask("POST", "/v1/processes", body)
        if status not in (201, 409):
            why = answer.get("error", status) if isinstance(answer, dict) else status
            advice = "check `run:`; programs are searched for in the PATH of this shell"
            raise ServiceFailed(f"{service} cannot start: {why}", Evidence(service, "start", advice=advice))
        enforced = answer.get("enforced", {}) if status == 201 else spec.limits
        for limit in spec.limits:
            if enforced.get(limit) is None:
                self._say("", f"{service}: its {LIMITS[limit]} is not limited: only an administrator may do that here")

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what the keeper reports about each process.

        Raises:
            KeeperGone: the keeper has ended, which is an error while the instance is brought up.
        """
        return dict(self._keeper().ask("GET", "/v1/processes", timeout=QUICK)[1] or {})

    def _keeper(self) -> KeeperClient:
        keeper = self.host.keepers.find(self.id)
        if keeper is None:
            raise self._keeper_gone()
        return keeper

    def _keeper_gone(self) -> KeeperGone:
        return KeeperGone(f"the keeper of {self.id} has ended, and its processes with it", hint="`envctl up` starts it again")

    def _first(self, service: ServicePlan, spec: Spec) -> None:
        """Run the first commands of new data, and repeat those whose exit code says that the server does not answer yet."""
        done = self.root(service.name) / ".first"
        if service.local is None or not service.local.first or done.exists():
            return
        made = self._template(self._found(service))
        for step in service.local.first:
            given = {key: made.secret if value == "@secret" and made else value for key, value in step.env.items()}
            env = {**spec.environment(self.host.environ), **given, MARK: self.id}
            ran = self._tried(service, resolved(step.argv, env, spec.cwd), env, spec, step.stdin.encode(), step.again)
            if ran is not None and ran.status:
                evidence = Evidence(service.name, "first start", logs=tuple(ran.output.splitlines()[-40:]))
                raise ServiceFailed(f"{service.name}: {step.argv[0]} ended with {ran.status}", evidence)
        done.touch()

    def _tried(
        self, service: ServicePlan, argv: Sequence[str], env: Mapping[str, str], spec: Spec, stdin: bytes, again: int | None
    ) -> CommandResult | None:
        """Run the command until the server answers; return None if the server has ended, which is reported elsewhere."""
        deadline = time.monotonic() + FIRST_TIMEOUT
        while True:
            self._listens(service, deadline)
            ran = run(argv, env, spec, (stdin,))
            if ran.status != again or time.monotonic() > deadline:
                return ran
            if not self.state(service.name).running:
                return None
            time.sleep(AGAIN)

    def _listens(self, service: ServicePlan, deadline: float) -> None:
        """Wait until the port accepts connections: a client that fails to connect would take longer than the server needs to start."""
        port = next((port.outside for port in service.ports), None)
        while port and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if not self.state(service.name).running:
                return
            time.sleep(AGAIN)

    def stop(self, service: ServicePlan) -> None:
        self._stopped(service.name, max(service.stop, 10.0))

    def _stopped(self, name: str, grace: float) -> None:
        keeper = self.host.keepers.find(self.id)
        if keeper is not None:
            keeper.end_process(name, grace, grace + 30)

    def discard(self, service: ServicePlan) -> None:
        self._stopped(service.name, 0.0)
        shutil.rmtree(self.root(service.name), ignore_errors=True)
        with self._changing:
            self.keep_specs({name: spec for name, spec in self.specs().items() if name != service.name}, self.labels())

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        """Read exits from the keeper; if the keeper ends, so do its processes, and their exit codes are lost."""
        sock, answer = self._keeper().stream("/v1/exit-events")
        closed = threading.Event()

        def listen() -> None:
            for name, status in _ends(answer):
                on_exit(name, status)
            if not closed.is_set():
                raise self._keeper_gone()

        guarded_thread(listen, on_loss, name="exit events")
        try:
            yield
        finally:
            closed.set()
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """Return an error if the port is the reason: another program has taken it, or the service uses one that is not allocated for it."""
        log = text(self.logs(service.name, 40))
        if not service.ports or not any(word in log.lower() for word in TAKEN):
            return None
        if not all(map(nobody_has, service.outside_ports.values())):
            return PortTaken(service.name, "another program listens there")
        copies = [other.name for other in self.plan.services.values() if other.written and other.written == service.written]
        which = f"{' and '.join(copies)} use the same one" if len(copies) > 1 else "it uses a port of its own"
        advice = f"`${{self.port}}` in `run:` or `env:` is the port that it should use; now {which}"
        evidence = Evidence(service.name, "start", logs=tuple(log.splitlines()), advice=advice)
        free = " and ".join(map(str, service.outside_ports.values()))
        return ServiceFailed(f"{service.name} tries to listen on a port that is taken, not on {free}, which is free for it", evidence)

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return service.outside_ports

    def finish(self, whole: Collection[str]) -> None:
        """Copy data directories for the next instance, in the background."""
        for prepared in self._prepared.values():
            made, began_as = self._template(prepared), self._began.get(prepared.service.name)
            if began_as is not None:
                snapshots.make_spare(self._snapshots_home, began_as)
            elif made is not None:
                make_spare(made)

    def listening(self, service: str) -> Sequence[listening.Address]:
        named = system.variables([MARK, PROCESS]).items()
        roots = [pid for pid, values in named if (values.get(MARK), values.get(PROCESS)) == (self.id, service)]
        return listening.addresses_of(system.with_descendants(roots, system.processes()))

    def execute(self, service: str, what: Execution) -> CommandResult:
        spec = self.spec(service)
        env = {**spec.environment(self.host.environ), **what.env, MARK: self.id}
        return run(resolved(tuple(what.argv), env, spec.cwd), env, spec, what.stdin)

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        """Run *argv* as a separate process with the environment, the files and the folder of *service*."""
        if attached is not None:
            return self._run_attached(service, argv, attached)
        with self._changing:
            self._once += 1
            name = f"{service.name}#{os.getpid()}-{self._once}"
        log = self.log_file(name)
        try:
            spec = self.spec(service.name)
            self._start(name, service.name, replace(spec, env={**spec.env, **service.env}), argv)
        except ServiceFailed as error:
            return CommandResult(127, error.message)
        try:
            while (told := self.processes().get(name)) and told["running"]:
                time.sleep(0.02)
            if told is None:
                return CommandResult(126, "the keeper has ended, and the command with it")
            return CommandResult(int(told["status"]), log.read_text("utf-8", "replace") if log.exists() else "")
        finally:
            with suppress(EnvctlError):
                self._stopped(name, 0.0)
            log.unlink(missing_ok=True)

    def _run_attached(self, service: ServicePlan, argv: Sequence[str], attached: Attached) -> CommandResult:
        """Run the command as a child process: the keeper does not pass output on. If it is killed, its mark identifies what it leaves."""
        name, spec = f"{service.name}{BESIDE}", self.spec(service.name)
        env = {**spec.environment(self.host.environ), **service.env, MARK: self.id, PROCESS: name}
        words = resolved(tuple(argv), env, spec.cwd)
        try:
            status = run_attached(
                words, env, attached, cwd=spec.cwd, user=spec.user, ended=lambda: kill_marked(self.id, process=name)
            )  # fmt: skip
        except OSError as error:
            return CommandResult(126 if isinstance(error, PermissionError) else 127, f"{argv[0]}: {error.strerror}")
        return CommandResult(status, "")

    def data_id(self, service: ServicePlan) -> str:
        if service.ephemeral:
            return self.state(service.name).id
        with suppress(OSError):
            return (self.root(service.name) / ".data_id").read_text()
        return ""


def _ends(answer: HTTPResponse) -> Iterator[tuple[str, int]]:
    """Yield name and exit code of each process that ends, until the keeper's answer ends."""
    with closing(answer), suppress(OSError, ValueError, HTTPException):
        for line in answer:
            told = json.loads(line)
            yield str(told["name"]), int(told["status"])
