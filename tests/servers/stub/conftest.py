"""Run the stub as its users do: as a process, with requests over a socket."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import envctl.servers.stub
from tests.servers.http_client import Reply, call

STUB = Path(envctl.servers.stub.__file__).parent


@dataclass(frozen=True)
class RunningStub:
    """A stub process, its port, and the file with its output."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def call(self, method: str, url: str, body: bytes | str | None = None, headers: dict[str, str] | None = None) -> Reply:
        return call(self.port, method, url, body.encode() if isinstance(body, str) else body, headers or {})

    def get(self, url: str, **headers: str) -> Reply:
        return self.call("GET", url, headers=headers)

    def add(self, *mappings: object) -> None:
        for mapping in mappings:
            reply = self.call("POST", "/__admin/mappings", json.dumps(mapping))
            assert reply.status == 201, reply.text

    def log(self) -> list[str]:
        return self.output.read_text().splitlines()


Start = Callable[..., RunningStub]


@pytest.fixture(scope="session")
def start_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return a function that starts stubs; they end after the tests."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, program: Path = STUB) -> RunningStub:
        output = tmp_path_factory.mktemp("stub") / "output"
        command = [sys.executable, program, "--host", "127.0.0.1", "--port", "0", *arguments]
        with output.open("wb") as stream:
            process = subprocess.Popen([str(part) for part in command], stdout=stream, stderr=subprocess.STDOUT)
        processes.append(process)
        return RunningStub(process, _port(process, output), output)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def _shared_stub(start_stub: Start) -> RunningStub:
    return start_stub()


@pytest.fixture
def stub(_shared_stub: RunningStub) -> RunningStub:
    """Return a stub without mappings and with an empty journal."""
    _shared_stub.call("DELETE", "/__admin/mappings")
    _shared_stub.call("DELETE", "/__admin/requests")
    return _shared_stub


def _port(process: subprocess.Popen[bytes], output: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = output.read_text().splitlines(keepends=True)
        if lines and lines[0].startswith("listening on ") and lines[0].endswith("\n"):
            return int(lines[0].split(" (")[0].rpartition(":")[2])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"the stub did not start: {output.read_text()}")
