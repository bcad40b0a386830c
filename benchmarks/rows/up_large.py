"""Compare `envctl up` of PostgreSQL with 240 MB of seeds from a snapshot with `docker run` of the same image until it answers a query.

`docker run` uses the data as it is; envctl also creates a network, a keeper and new passwords.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.programs import ENVCTL, Failed, run, seconds, with_snapshots

WHAT = "`envctl up` of a database with 240 MB of seeds, from its snapshot"
GOAL = Goal(1.15, rival="`docker run` of the same image: started to first answer")
ENVIRONMENT = "name: bench-large\nservices:\n  db:\n    kind: postgres\n    seed: [{sql: table.sql}, {csv: large.csv, into: large}]\n"
LINES, BYTES = 240_000, 1000
CONTAINER = "bench-large-bare"
DATA = "/var/lib/envctl/data/pgdata"
PROTOCOL = 196608
"""Protocol version 3.0 in PostgreSQL's first message; the server asks for a password only when it is ready."""


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    env = with_snapshots(work)
    with kept(work, env) as (file, image):
        yield Sides(lambda: up(file, env), lambda: _bare(image))


def up(file: Path, env: Mapping[str, str]) -> float:
    took = seconds([ENVCTL, "up", str(file), "--engine", "docker"], env)
    run([ENVCTL, "down", file.stem], env)
    return took


@contextmanager
def kept(work: Path, env: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the definition file, and the image that contains its data."""
    file = work / "bench-large.yaml"
    (work / "envctl.toml").touch()
    file.write_text(ENVIRONMENT)
    (work / "table.sql").write_text("create table large (i int, t text);")
    with (work / "large.csv").open("w") as rows:
        rows.write("i,t\n")
        rows.writelines(f"{number},{number:0{BYTES}}\n" for number in range(LINES))
    run([ENVCTL, "snapshots", "build", str(file), "--engine", "docker"], env)
    (found,) = json.loads(run([ENVCTL, "snapshots", "--json"], env))
    try:
        yield file, found["ref"]
    finally:
        run([ENVCTL, "snapshots", "--prune"], env)


def _bare(image: str) -> float:
    port = _free_port()
    began = time.perf_counter()
    try:
        run(
            [
                "docker",
                "run",
                "-d",
                "--init",
                "--name",
                CONTAINER,
                "-u",
                "999:999",
                "-e",
                f"PGDATA={DATA}",
                "-p",
                f"127.0.0.1:{port}:5432",
                image,
            ]
        )
        _answered(port)
        return time.perf_counter() - began
    finally:
        run(["docker", "rm", "-fv", CONTAINER])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answered(port: int) -> None:
    hello = b"user\0nobody\0\0"
    message = (len(hello) + 8).to_bytes(4, "big") + PROTOCOL.to_bytes(4, "big") + hello
    for _ in range(2000):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(message)
                if client.recv(1) == b"R":
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise Failed("the bare server never answered")
