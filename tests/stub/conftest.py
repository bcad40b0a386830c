"""Stubs to test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stub_process import STUB, RunningStub, Start, port_of


@pytest.fixture(scope="session")
def start_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts stubs, and ends them after the tests."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, program: Path = STUB) -> RunningStub:
        output = tmp_path_factory.mktemp("stub") / "output"
        command = [sys.executable, program, "--host", "127.0.0.1", "--port", "0", *arguments]
        with output.open("wb") as stream:
            process = subprocess.Popen([str(part) for part in command], stdout=stream, stderr=subprocess.STDOUT)
        processes.append(process)
        return RunningStub(process, port_of(process, output), output)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def _shared_stub(start_stub: Start) -> RunningStub:
    return start_stub()


@pytest.fixture
def stub(_shared_stub: RunningStub) -> RunningStub:
    """A stub without mappings and with an empty journal."""
    _shared_stub.call("DELETE", "/__admin/mappings")
    _shared_stub.call("DELETE", "/__admin/requests")
    return _shared_stub


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "docker: needs a Docker daemon")
