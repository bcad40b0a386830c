"""Run each `envctl` command as a process forked from one that has imported envctl.

Thousands of tests would otherwise wait for imports.

Everything that a command would inherit is passed for each command: its arguments, folder, environment variables and output.
`tests/test_fork_server.py` compares a forked command with a normally started process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

IMPORTED = (
    "envctl.__main__", "envctl.cli.app", "envctl.environment", "envctl.plan.render_setting", "envctl.lifecycle.up", "envctl.lifecycle.api",
    "envctl.engines.docker.engine", "envctl.engines.local.engine", "docker",
)  # fmt: skip
LONGEST = 1 << 17
"""The maximum size of a request in bytes."""
STDIN, STDOUT, STDERR = 0, 1, 2


class Ended(NamedTuple):
    status: int
    out: bytes
    err: bytes


def can_fork(environ: Mapping[str, str]) -> bool:
    """Return whether a forked process can stand in for a new one: Python reads some variables only at its start."""
    names = [name for name in {*environ, *os.environ} if name.startswith(("PYTHON", "LC_")) or name == "LANG"]
    return all(environ.get(name) == os.environ.get(name) for name in names)


class ForkServer:
    """A server process that ends with its creator."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("ENVCTL_", "PYTEST_"))}
        with theirs:
            words = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
            pipe = subprocess.PIPE  # a process whose output is a pipe from its start never queries a file position
            self.process = subprocess.Popen(
                words, cwd=Path(__file__).parent.parent, env=environ, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            )  # fmt: skip
        self._asking = threading.Lock()

    def close(self) -> None:
        self._socket.close()
        self.process.communicate()

    def run(self, words: Sequence[str], cwd: Path | None, environ: Mapping[str, str], timeout: float) -> Ended:
        """Run `envctl WORDS`; return when the command has ended and no process holds its output open.

        Raises:
            TimeoutExpired: The command took longer than *timeout* seconds and was killed.
        """
        out, err, status = (os.pipe() for _ in range(3))
        request = json.dumps([list(words), str(cwd or Path.cwd()), dict(environ)]).encode()
        try:
            with self._asking:
                socket.send_fds(self._socket, [request], [out[1], err[1], status[1]])
        finally:
            for _, writing in (out, err, status):
                os.close(writing)
        with open(status[0], encoding="ascii") as told:
            pid = int(told.readline())
            texts = [_Reader(reading) for reading, _ in (out, err)]
            for text in texts:
                text.join(timeout)
            if any(text.is_alive() for text in texts):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["envctl", *words], timeout, texts[0].read, texts[1].read)
            return Ended(int(told.readline()), texts[0].read, texts[1].read)


class _Reader(threading.Thread):
    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self._descriptor, self.read = descriptor, b""
        self.start()

    def run(self) -> None:
        with open(self._descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(1 << 16):
                self.read += chunk


def serve(requests: socket.socket) -> None:
    """For each request, fork a process that waits for the command's process and reports its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for these children
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 3)
        if not request:
            return
        if not os.fork():
            requests.close()
            _attend(json.loads(request), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(request: tuple[list[str], str, dict[str, str]], out: int, err: int, status: int) -> None:
    """Fork the command's process; return in it once its output, folder and environment variables are set."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        os.close(out)
        os.close(err)
        with open(status, "w", encoding="ascii") as told:
            print(pid, file=told, flush=True)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=told, flush=True)
        os._exit(0)
    words, folder, environ = request
    os.close(status)
    for descriptor, place in ((os.open(os.devnull, os.O_RDONLY), STDIN), (out, STDOUT), (err, STDERR)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[1:], sys.path[0] = words, folder
    import envctl.__main__

    envctl.__main__.main()


if __name__ == "__main__":
    for name in IMPORTED:
        import_module(name)
    import_module("envctl.cli.app").build([])
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
