"""Commands that run while a test does something to them, and waiting with a deadline."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests_support import Done, Project, labelled

Found = TypeVar("Found")
Moments = Callable[[str, int], list[float]]
"""So many moments (seconds) of the time that a command takes."""


def until(condition: Callable[[], Found], seconds: float = 60.0, what: str = "") -> Found:
    """What *condition* gives, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what or condition} did not come true"
        time.sleep(0.01)


@dataclass(frozen=True)
class Running:
    """`envctl` as a process that is still running; what it prints goes to files, so that nothing ever waits for a reader."""

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
    """`envctl WORDS` in the background, in a process group of its own; killed when it outlives the block."""
    folder = project.folder / ".output" / str(time.monotonic_ns())
    folder.mkdir(parents=True)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
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


def things_of(project: Project) -> list[str]:
    """What carries the project's label on Docker."""
    return [thing for thing in labelled() if thing.endswith(f" {project.folder}")]


def states_of(project: Project) -> list[Path]:
    """The state folders of the project's instances; one without a record is anybody's, so it counts."""
    home = Path(os.environ["XDG_STATE_HOME"], "envctl")
    return [path for path in sorted(home.glob("*")) if _is_of(path / "instance.json", project)]


def _is_of(record: Path, project: Project) -> bool:
    try:
        return str(project.folder) in record.read_text("utf-8")
    except FileNotFoundError:
        return record.parent.exists()


def processes_of(mark: str) -> list[str]:
    """Command lines of processes, this one left out, that hold *mark* (a folder's or an instance's name)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


def nothing_is_left(project: Project, ids: Sequence[str] = ()) -> None:
    assert things_of(project) == []
    assert states_of(project) == []
    for mark in (str(project.folder), *ids):
        assert processes_of(mark) == []


@contextmanager
def held_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as holder:
        holder.bind((host, 0))
        holder.listen()
        yield holder.getsockname()[1]


FORKING = """
import json, os, sys
from envctl import checks, rendering, orchestrator
from envctl.cli import main
from envctl.cli.app import build
build([])

def run(number, words):
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{sys.argv[1]}/{number}.{name}", os.O_WRONLY | os.O_CREAT), descriptor)
    try:
        main(words)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(99)

def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

print(json.dumps([wait(os.fork() or run(number, words)) for number, words in enumerate(json.load(sys.stdin))]))
"""
"""A process for each command, without 150 times the time that Python takes to import."""


def forked(jobs: Sequence[Sequence[str]], cwd: Path, results: Path) -> list[Done]:
    """`envctl WORDS` for each of *jobs*; what they print goes through files in *results*."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
    parent = [sys.executable, "-c", FORKING, str(results)]
    done = subprocess.run(parent, cwd=cwd, env=environ, input=json.dumps(jobs), stdout=subprocess.PIPE, text=True, check=True)
    return [
        Done(status, (results / f"{number}.out").read_text("utf-8"), (results / f"{number}.err").read_text("utf-8"))
        for number, status in enumerate(json.loads(done.stdout))
    ]
