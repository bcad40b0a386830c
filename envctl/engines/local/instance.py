"""An existing instance of local processes: states and logs of its processes, and commands beside them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

from envctl.engines.logs import PIECE, last, text
from envctl.engines.protocol import CommandResult, ServiceState, TerminalCommand
from envctl.errors import EnvctlError
from envctl.instance.folder import write_private
from envctl.keeper.process_marks import MARK
from envctl.keeper_client.client import QUICK, KeeperGone, KeeperSilent
from envctl.process.threads import Feeder
from envctl.session.session import Host

SPECS, LOGS, OLDER = "local.json", "logs", ".1"
POLL_SECONDS = 0.1
"""The seconds between two reads of a log that is followed."""


@dataclass(frozen=True)
class Spec:
    """A process to start, as the keeper gets it, and as it is stored for later commands."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: int | None = None
    limits: Mapping[str, int | float] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    inherits: bool = False
    """Whether it gets the variables of the shell, too, as the team's own programs do. They are not stored: there may be tokens in them."""
    mark: str = ""
    """A hash of what the definition says; if it changes, the process is replaced."""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return all of its environment variables; *environ* has those of the shell, from which envctl's own options are left out."""
        shell = {key: value for key, value in environ.items() if not key.startswith("ENVCTL_")} if self.inherits else {}
        return {"PYTHONUNBUFFERED": "1", **shell, **self.env}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Spec:
        """Return the process that is stored as *kept*."""
        return cls(**{**kept, "argv": tuple(kept["argv"])})


def resolved(argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> tuple[str, ...]:
    """Return *argv* with the path of its program, found through the PATH in *env*; a name with a slash is relative to *cwd*, and stays."""
    if "/" in argv[0]:
        return argv
    return (shutil.which(argv[0], path=env.get("PATH")) or argv[0], *argv[1:])


@dataclass
class LocalInstance:
    """The processes that the keeper of *id* runs."""

    host: Host
    id: str

    @property
    def state_folder(self) -> Path:
        return self.host.folder(self.id)

    def specs(self) -> dict[str, Spec]:
        """Return service to the process that was created for it."""
        return {name: Spec.of(spec) for name, spec in self._kept().get("services", {}).items()}

    def labels(self) -> dict[str, str]:
        """Return the labels that the instance got when it was created."""
        return dict(self._kept().get("labels", {}))

    def _kept(self) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads((self.state_folder / SPECS).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept

    def keep_specs(self, specs: Mapping[str, Spec], labels: Mapping[str, str]) -> None:
        """Store the processes of the instance, and its labels."""
        services = {name: asdict(spec) for name, spec in specs.items()}
        write_private(self.state_folder / SPECS, json.dumps({"labels": dict(labels), "services": services}))

    def forget(self) -> None:
        """Remove the files that a later instance with this id must not find."""
        (self.state_folder / SPECS).unlink(missing_ok=True)
        shutil.rmtree(self.state_folder / LOGS, ignore_errors=True)

    def spec(self, service: str) -> Spec:
        """Return the process that was created for *service*.

        Raises:
            EnvctlError: no process was created for it.
        """
        try:
            return self.specs()[service]
        except KeyError:
            raise EnvctlError(f"{service}: its process is gone", hint="`envctl up` brings it back") from None

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what the keeper reports about each process; empty if the keeper has ended, as its processes have ended, too.

        Raises:
            KeeperSilent: the keeper runs, but does not answer.
        """
        keeper = self.host.keepers.find(self.id)
        if keeper is None:
            return {}
        try:
            return dict(keeper.ask("GET", "/v1/processes", timeout=QUICK)[1] or {})
        except KeeperSilent:
            raise
        except KeeperGone:
            return {}

    def states(self) -> Mapping[str, ServiceState]:
        """Return the state of each service that was created; the keeper also remembers processes of removed services."""
        processes = self.processes()
        return {name: _state(name, processes[name]) if name in processes else ServiceState() for name in self.specs()}

    def state(self, service: str) -> ServiceState:
        return self.states().get(service, ServiceState())

    def log_file(self, service: str) -> Path:
        return self.state_folder / LOGS / f"{service}.log"

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        with closing(_Reader(self.log_file(service))) as reader:
            yield from last(reader.begin(), tail)

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        with ExitStack() as stack:
            readers = {name: stack.enter_context(closing(_Reader(self.log_file(name)))) for name in services}
            for name, reader in readers.items():
                yield from zip(repeat(name), last(reader.begin(), tail))
            while True:
                running = {name for name, state in self.states().items() if state.running}
                pieces = {name: piece for name, reader in readers.items() if (piece := reader.more())}
                yield from pieces.items()
                if pieces:  # more may follow, and the older file may soon be removed
                    continue
                if not running & set(services):
                    return
                time.sleep(POLL_SECONDS)

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Do nothing: the record and the keeper have the time, and no process carries a label."""

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """Return *argv* with the service's environment, in its folder."""
        spec = self.spec(service)
        terminal = {key: value for key, value in self.host.environ.items() if key in ("TERM", "COLUMNS", "LINES")}
        whole = {**terminal, **spec.environment(self.host.environ), **env, MARK: self.id}
        return TerminalCommand(resolved(tuple(argv), whole, spec.cwd), whole, spec.cwd)


def _state(name: str, told: Mapping[str, Any]) -> ServiceState:
    return ServiceState(bool(told["running"]), told["status"], id=f"{name}:{told['pid']}:{told['since']}")


@dataclass
class _Reader:
    """A reader of a growing log; after a rotation, it reads the old file to its end before it opens the new one."""

    path: Path
    _stream: BinaryIO | None = None

    def begin(self) -> Iterator[bytes]:
        """Yield all of the log so far in pieces, starting with the older file."""
        self._open()  # first: if the log is rotated now, this is the older file, and nothing is missed
        left = os.fstat(self._stream.fileno()).st_size if self._stream is not None else 0
        with suppress(FileNotFoundError), self.path.with_name(self.path.name + OLDER).open("rb") as older:
            if self._stream is None or not os.path.sameopenfile(older.fileno(), self._stream.fileno()):
                yield from iter(lambda: older.read(PIECE), b"")
        while left > 0 and (piece := self._read(min(left, PIECE))):
            left -= len(piece)
            yield piece

    def more(self) -> bytes:
        """Return the next piece; empty if nothing new was written."""
        moved = self._moved()  # checked first: nothing is written to a rotated file
        piece = self._read(PIECE)
        if moved and not piece:
            self._open()
            piece = self._read(PIECE)
        return piece

    def _open(self) -> None:
        self.close()
        with suppress(FileNotFoundError):
            self._stream = self.path.open("rb")

    def _read(self, size: int) -> bytes:
        return self._stream.read(size) if self._stream is not None else b""

    def _moved(self) -> bool:
        try:
            there = self.path.stat().st_ino
        except FileNotFoundError:
            return self._stream is None
        return self._stream is None or os.fstat(self._stream.fileno()).st_ino != there

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def run(argv: Sequence[str], env: Mapping[str, str], spec: Spec, stdin: Iterable[bytes] = ()) -> CommandResult:
    """Run *argv* as a child process with the input *stdin*; the exit code is 127 if it cannot be started.

    Raises:
        Exception: whatever *stdin* raised; the command is killed, so that it does not take the truncated input for complete.
    """
    user = spec.user
    theirs, ours = os.pipe()
    if user is not None:
        os.fchown(theirs, user, user)  # otherwise it could not open /dev/stdin, as MariaDB's client does
    try:
        process = subprocess.Popen(
            argv, env=dict(env), cwd=spec.cwd, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            user=user, group=user, extra_groups=[] if user is not None else None,
        )  # fmt: skip
    except OSError as error:
        os.close(ours)
        return CommandResult(127, f"{argv[0]}: {error.strerror}")
    finally:
        os.close(theirs)
    input = os.fdopen(ours, "wb")

    def end(error: Exception | None) -> None:
        if error is not None:
            process.kill()
        input.close()

    feeder = Feeder(stdin, input.write, end)
    assert process.stdout is not None
    with process.stdout as stream:
        output = text(iter(partial(stream.read, PIECE), b""))
    status = process.wait()
    feeder.finish()
    return CommandResult(status if status >= 0 else 128 - status, output)
