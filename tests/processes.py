"""Run commands in the background while a test acts on them, and wait with a deadline."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from envctl.engines.local.folders import services_folder
from envctl.instance.folder import state_home
from envctl.instance.identity import instance_id
from envctl.keeper import system
from tests.support import NOTHING_KEPT, Done, Project, labelled, missing, namespaces

Found = TypeVar("Found")
Moments = Callable[[str], list[float]]
"""A function that returns moments (in seconds) within the time that a command takes."""


def running(pid: int) -> bool:
    """Return whether the process exists; a zombie does not count."""
    return bool(system.start_time(pid))


def until(condition: Callable[[], Found], seconds: float = 60.0, what: str = "") -> Found:
    """Return the result of *condition* as soon as it is true. Raise AssertionError after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what or condition} did not come true"
        time.sleep(0.01)


@dataclass(frozen=True)
class Running:
    """`envctl` as a running process; its output goes to files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text("utf-8", "replace")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = 120.0) -> Done:
        return Done(self.process.wait(seconds), self.out, self.err)

    def says(self, text: str, seconds: float = 60.0) -> None:
        until(lambda: text in self.out + self.err or self.process.poll() is not None, seconds, f"{text!r} in its output")
        assert text in self.out + self.err, self.out + self.err


@contextmanager
def started(project: Project, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run `envctl WORDS` in the background, in its own process group; kill it if it is still running at the end of the block."""
    folder = project.folder / ".output" / str(time.monotonic_ns())
    folder.mkdir(parents=True)
    environ = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or not key.startswith("ENVCTL_")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "envctl", *words],
            cwd=project.folder,
            env={**environ, "ENVCTL_ENGINE": project.engine, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    try:
        yield Running(process, folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@dataclass
class Terminal:
    """`envctl` on its own terminal, which a test can close."""

    process: subprocess.Popen[bytes]
    side: int
    seen: str = ""

    def says(self, text: str, seconds: float = 60.0) -> None:
        until(lambda: self._read(text), seconds, f"{text!r} on the terminal")

    def _read(self, text: str) -> bool:
        while select.select([self.side], [], [], 0)[0]:
            try:
                self.seen += os.read(self.side, 1 << 16).decode(errors="replace")
            except OSError:
                break  # the other side is closed
        assert text in self.seen or self.process.poll() is None, self.seen
        return text in self.seen

    def close(self) -> None:
        """Close the terminal like a window: the foreground processes get SIGHUP, and nothing can be written any more."""
        if self.side >= 0:
            os.close(self.side)
            self.side = -1


@contextmanager
def controlled(project: Project, *words: str) -> Iterator[Terminal]:
    """Run `envctl WORDS` as the leader of a session with a terminal; kill it if it is still running at the end of the block."""
    ours, theirs = os.openpty()
    environ = {key: value for key, value in os.environ.items() if key in NOTHING_KEPT or (not key.startswith("ENVCTL_") and key != "CI")}
    process = subprocess.Popen(
        [sys.executable, "-m", "envctl", *words],
        cwd=project.folder,
        env={**environ, "ENVCTL_ENGINE": project.engine, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        terminal.close()
        if process.poll() is None:
            process.kill()
            process.wait()


def things_of(project: Project) -> list[str]:
    """Return the resources that carry the project's label: containers, networks and volumes on Docker, namespaces on a cluster."""
    if project.engine == "kubernetes":
        return [f"namespace {name}" for name, folder in namespaces().items() if folder == str(project.folder)]
    return [thing for thing in labelled() if thing.endswith(f" {project.folder}")] if "docker" not in missing else []


def digits_of(project: Project) -> str:
    """Return the end of the ids of the project's instances."""
    return instance_id("x", project.folder)[1:]


def states_of(project: Project) -> list[Path]:
    """Return the state folders of the project's instances."""
    return sorted(Path(os.environ["XDG_STATE_HOME"], "envctl").glob(f"*{digits_of(project)}"))


def folders_of(project: Project) -> list[Path]:
    """Return the folders with the files of the project's local services."""
    return sorted(services_folder("x", state_home(os.environ)).parent.glob(f"*{digits_of(project)}"))


def processes_of(mark: str) -> dict[int, str]:
    """Return the processes whose command line, folder or mark contains *mark* (the name of a folder, or an id), with their command lines.

    The current process and zombies are left out.
    """
    marks = system.variables(["ENVCTL_MARK"])
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with suppress(OSError):
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            seen = f"{line} {os.readlink(path / 'cwd')} {marks.get(pid, {}).get('ENVCTL_MARK')}"
            if mark in seen and pid != os.getpid():
                found[pid] = line
    return found


def keepers_of(id: str) -> list[int]:
    return [pid for pid, line in processes_of(f"/{id}/keeper-config.json").items() if "-I -S" in line]


def supervisors_of(id: str) -> list[int]:
    return [pid for pid, values in system.variables(["ENVCTL_SUPERVISOR"]).items() if values["ENVCTL_SUPERVISOR"] == id]


def kill(pids: Iterable[int]) -> None:
    """Send SIGKILL to all processes, as nearly at once as a test can."""
    for pid in pids:
        system.send(pid, signal.SIGKILL)


def left_of(project: Project) -> list[str]:
    """Return everything that exists of the project's instances, on every engine."""
    processes = {**processes_of(str(project.folder)), **processes_of(digits_of(project))}
    return [*things_of(project), *map(str, states_of(project)), *map(str, folders_of(project)), *processes.values()]


def nothing_is_left(project: Project) -> None:
    """Assert that nothing is left of the project's instances; a keeper that has announced its end gets 3 seconds."""
    with suppress(AssertionError):
        until(lambda: not left_of(project), 3.0)
    left = left_of(project)
    assert left == [], left


def nothing_stays(project: Project) -> None:
    """Assert that everything disappears without any command. The limit of 45 seconds is long, for busy machines."""
    with suppress(AssertionError):
        until(lambda: not left_of(project), 45.0)
    left = left_of(project)
    assert left == [], left


@contextmanager
def held_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port on which another socket listens."""
    with socket.socket() as holder:
        holder.bind((host, 0))
        holder.listen()
        yield holder.getsockname()[1]
