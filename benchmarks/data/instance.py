"""An instance that is up while a part uses it, and its keeper's API."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pg8000.native

from benchmarks.programs import ENVCTL, run, with_snapshots

NAME = f"bench-data-{os.getpid()}"


class Refused(Exception):
    """A request that the API refused, or an API that is not available at the moment."""


class Running:
    """A running instance.

    Attributes:
        document: The document that `up --json` printed.
        lanes: The outputs of each lane, or those of the instance if it has no lanes.
    """

    def __init__(self, work: Path, env: Mapping[str, str], document: Mapping[str, Any]) -> None:
        self.env, self.document = env, document
        self.lanes: Sequence[Mapping[str, str]] = document["lanes"] or [document["outputs"]]
        self.folder = work / "state/envctl" / document["id"]
        told = json.loads(run([ENVCTL, "env", document["id"], "--format", "json"], env))
        self._url, self._head = urlsplit(told["ENVCTL_URL"]), {"Authorization": f"Bearer {told['ENVCTL_TOKEN']}"}
        self._own = threading.local()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request over the thread's own connection, which stays open, and return the answer's document.

        Raises:
            Refused: The API refuses, or closes the connection before it has answered.
        """
        kept: http.client.HTTPConnection | None = getattr(self._own, "kept", None)
        connection = kept or http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=90)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._head)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._own.kept = None
            raise Refused(f"{method} {path}: {error}") from None
        self._own.kept = connection
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {found}")
        return found

    def asked_until_there(self, method: str, path: str) -> None:
        """Repeat the request until the API answers it."""
        while True:
            try:
                self.ask(method, path)
                return
            except Refused:
                time.sleep(0.05)


@contextmanager
def running(work: Path, engine: str, environment: str, *options: str) -> Iterator[Running]:
    """Bring *environment* up (a name, or the text of a definition); at the end, remove the instance and its snapshots."""
    env = with_snapshots(work) | {"ENVCTL_ENGINE": engine}
    if "\n" in environment:
        (work / "envctl.toml").touch()
        (work / "data.yaml").write_text(environment)
        environment = str(work / "data.yaml")
    document = json.loads(run([ENVCTL, "up", environment, "--name", NAME, "--json", *options], env))
    try:
        yield Running(work, env, document)
    except AssertionError:
        print(run([ENVCTL, "logs", document["id"]], env)[-20_000:])
        raise
    finally:
        run([ENVCTL, "down", document["id"]], env)
        run([ENVCTL, "snapshots", "--prune"], env)


def connected(url: str, database: str | None = None) -> pg8000.native.Connection:
    parts = urlsplit(url)
    return pg8000.native.Connection(
        parts.username or "",
        password=parts.password,
        host=parts.hostname or "",
        port=parts.port or 5432,
        database=database or parts.path[1:],
    )


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the times as text, such as `p50 38 ms, p95 61 ms, worst 130 ms`."""
    ordered = sorted(each * 1000 for each in seconds)
    return f"p50 {statistics.median(ordered):.1f} ms, p95 {ordered[len(ordered) * 95 // 100]:.1f} ms, worst {ordered[-1]:.0f} ms"
