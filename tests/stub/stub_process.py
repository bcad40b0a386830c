"""A stub as its users have it: a process, spoken to over a socket."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STUB = Path(__file__).parents[2] / "envctl" / "stub"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningStub:
    """A stub process, its port, and the file its output goes to."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def call(
        self, method: str, url: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = body.encode() if isinstance(body, str) else body
            connection.request(method, url, content, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.reason, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, url: str, **headers: str) -> Reply:
        return self.call("GET", url, headers=headers)

    def add(self, *mappings: object) -> None:
        for mapping in mappings:
            reply = self.call("POST", "/__admin/mappings", json.dumps(mapping))
            assert reply.status == 201, reply.text

    def log(self) -> list[str]:
        return self.output.read_text().splitlines()


Start = Callable[..., RunningStub]


def port_of(process: subprocess.Popen[bytes], output: Path) -> int:
    """The port that a starting stub tells."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = output.read_text().splitlines(keepends=True)
        if lines and lines[0].startswith("listening on ") and lines[0].endswith("\n"):
            return int(lines[0].split(" (")[0].rpartition(":")[2])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"the stub did not start: {output.read_text()}")
