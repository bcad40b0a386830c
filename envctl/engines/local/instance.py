"""An instance of local processes that is there: their states, logs, and commands beside them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from envctl import keeping
from envctl.engines import Execution, Ran, State
from envctl.engines.local.specs import Spec, resolved
from envctl.errors import EnvctlError
from envctl.instance import state_home, write_private

SPECS, LOGS = "local.json", "logs"
LOOK = 0.1
"""Seconds between two looks at a log that is followed."""


@dataclass
class LocalInstance:
    """The processes that the keeper of *id* holds."""

    id: str

    @property
    def state_folder(self) -> Path:
        return state_home() / self.id

    def specs(self) -> dict[str, Spec]:
        try:
            kept = json.loads((self.state_folder / SPECS).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: Spec.of(spec) for name, spec in kept.items()}

    def keep_specs(self, specs: Mapping[str, Spec]) -> None:
        write_private(self.state_folder / SPECS, json.dumps({name: asdict(spec) for name, spec in specs.items()}))

    def spec(self, service: str) -> Spec:
        try:
            return self.specs()[service]
        except KeyError:
            raise EnvctlError(f"{service}: its process is not there", hint="`envctl up` brings it back") from None

    def processes(self) -> dict[str, dict[str, Any]]:
        """What the keeper says of each process; nothing where it is gone, for then they are too."""
        keeper = keeping.find(self.id)
        if keeper is None:
            return {}
        with suppress(keeping.KeeperGone):
            return dict(keeper.ask("GET", "/v1/processes")[1] or {})
        return {}

    def states(self) -> Mapping[str, State]:
        return {name: _state(name, told) for name, told in self.processes().items() if "#" not in name}

    def state(self, service: str) -> State:
        return self.states().get(service, State(False, None))

    def execute(self, service: str, what: Execution) -> Ran:
        spec = self.spec(service)
        env = {**spec.env, **what.env, keeping.MARK: self.id}
        return run(resolved(tuple(what.argv), env, spec.cwd), env, spec, what.stdin)

    def log_file(self, service: str) -> Path:
        return self.state_folder / LOGS / f"{service}.log"

    def logs(self, service: str, tail: int | None = None) -> str:
        """What it has printed, from the older file on where there is one."""
        path = self.log_file(service)
        texts = [each.read_bytes() for each in (path.with_name(path.name + ".1"), path) if each.exists()]
        text = b"".join(texts).decode(errors="replace")
        return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail else [])

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        places = {}
        for name in services:
            text = self.logs(name, tail)
            places[name] = _Place(self.log_file(name), _size(self.log_file(name)))
            if text:
                yield name, text.encode()
        while True:
            running = {name for name, state in self.states().items() if state.running}
            for name in services:
                if piece := places[name].more():
                    yield name, piece
            if not running & set(services):
                return
            time.sleep(LOOK)

    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None:
        """The record and the keeper know it; nothing here carries a label."""

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> list[str]:
        """The command line that runs *argv* with the service's environment, in its folder, on this terminal."""
        spec = self.spec(service)
        whole = {**spec.env, **env, keeping.MARK: self.id}
        variables = [f"{key}={value}" for key, value in whole.items()]
        return ["env", "-C", spec.cwd, "-i", *_terminal(whole), *variables, *resolved(tuple(argv), whole, spec.cwd)]


def _terminal(env: Mapping[str, str]) -> list[str]:
    return [f"{key}={os.environ[key]}" for key in ("TERM", "COLUMNS", "LINES") if key in os.environ and key not in env]


def _state(name: str, told: Mapping[str, Any]) -> State:
    return State(bool(told["running"]), told["status"], id=f"{name}:{told['pid']}:{told['since']}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@dataclass
class _Place:
    """How far a log has been read; one that has become shorter is a new one."""

    path: Path
    at: int

    def more(self) -> bytes:
        size = _size(self.path)
        if size < self.at:
            self.at = 0
        if size == self.at:
            return b""
        with self.path.open("rb") as stream:
            stream.seek(self.at)
            piece = stream.read(1 << 20)
        self.at += len(piece)
        return piece


def run(argv: Sequence[str], env: Mapping[str, str], spec: Spec, stdin: Iterable[bytes] = ()) -> Ran:
    """*argv* as a child of this command, fed with *stdin*.

    Raises:
        Exception: whatever *stdin* raised; the command is killed before it sees an end of its input that is none.
    """
    user = spec.user
    try:
        process = subprocess.Popen(
            argv, env=dict(env), cwd=spec.cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            user=user, group=user, extra_groups=[] if user is not None else None,
        )  # fmt: skip
    except OSError as error:
        return Ran(127, f"{argv[0]}: {error.strerror}")
    errors: list[Exception] = []
    writer = threading.Thread(target=_feed, args=(process, stdin, errors), daemon=True)
    writer.start()
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    status = process.wait()
    writer.join()
    if errors:
        raise errors[0]
    return Ran(status if status >= 0 else 128 - status, output.decode(errors="replace"))


def _feed(process: subprocess.Popen[bytes], stdin: Iterable[bytes], errors: list[Exception]) -> None:
    assert process.stdin is not None
    try:
        for piece in stdin:
            process.stdin.write(piece)
    except BrokenPipeError:
        pass  # it ended before it had read everything; its status says so
    except Exception as error:
        errors.append(error)
        process.kill()
    with suppress(OSError):
        process.stdin.close()
