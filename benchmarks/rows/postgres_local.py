"""Compare one PostgreSQL on the local engine, from its start to ready, with the bare server on a copied data directory.

Both sides end with an answered query: envctl's time is the one in `up --json` (including roles and databases, and two probes), the other is
from the server's start until psql has connected. Both sides have the data directory in advance.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.programs import ENVCTL, Failed, environment, run

WHAT = "one PostgreSQL on the local engine: started to ready"
GOAL = Goal(3.0, rival="`postgres` on a copied data directory: started to first query")
ENVIRONMENT = "name: bench-db\nservices: {db: {kind: postgres}}\n"


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    env = environment(work)
    file = work / "bench-db.yaml"
    (work / "envctl.toml").touch()
    file.write_text(ENVIRONMENT)

    def ours() -> float:
        shown = json.loads(run([ENVCTL, "up", str(file), "--engine", "local", "--json"], env))
        run([ENVCTL, "down", shown["id"]], env)
        phases = shown["timings_ms"]
        return float(shown["services"]["db"]["ready_ms"] - phases["images"] - phases["create"]) / 1000

    ours()  # this first run creates the template
    yield Sides(ours, _bare)


def _bare() -> float:
    from envctl.definition.kinds import load_kinds
    from envctl.engines.local.folders import unprivileged
    from envctl.engines.local.programs import find_program, for_everybody
    from envctl.engines.local.templates import template

    local = load_kinds()["postgres"].local
    assert local is not None
    found = find_program(local, "17", os.environ.get("PATH"))
    assert found is not None
    found, user = for_everybody(found), unprivileged()
    made = template("db", found, local.template, user)
    data, port = made.data.parent / "bench", _free_port()
    shutil.rmtree(data, ignore_errors=True)
    subprocess.run(["cp", "-Rp", str(made.data), str(data)], check=True)
    command = [str(found.path), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    began = time.perf_counter()
    groups: list[int] | None = [] if user is not None else None
    server = subprocess.Popen([*command, "-c", "fsync=off"], user=user, group=user, extra_groups=groups, cwd="/", stderr=subprocess.DEVNULL)
    try:
        _answered(str(found.folder / "psql"), port, made.secret)
        return time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(data, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answered(psql: str, port: int, secret: str) -> None:
    login = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "envctl_setup", "PGPASSWORD": secret, "PGDATABASE": "postgres"}
    for _ in range(1000):
        if subprocess.run([psql, "-XAtc", "select 1"], env=login, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.005)
    raise Failed("the bare server never answered")
