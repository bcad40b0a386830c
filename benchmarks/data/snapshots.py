"""Kill builds of a snapshot at random moments: the next instance must have all of its data, from a snapshot or from new seeding."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from benchmarks.data.instance import connected
from benchmarks.programs import ENVCTL, run, with_snapshots

DEFINITION = "name: torn\nservices:\n  db: {kind: postgres, seed: [{sql: seed.sql}]}\noutputs: {URL: '${db.url}'}\n"
ROWS = 20_000


def measure(work: Path, engine: str, count: int) -> str:
    env = with_snapshots(work) | {"ENVCTL_ENGINE": engine}
    (work / "envctl.toml").touch()
    file = work / "torn.yaml"
    file.write_text(DEFINITION)
    took, whole = _build(file, env, 0), 0
    for number in range(1, count + 1):
        before = _kept(env)
        _build(file, env, number, random.uniform(0.0, 1.0) * took)
        whole += _kept(env) != before
        _came_up(file, env, number)
    run([ENVCTL, "snapshots", "--prune"], env)
    return f"{count} kills in the {took:.1f} s of a build: {whole} snapshots were whole by then, the others were made anew, none was torn"


def _build(file: Path, env: dict[str, str], number: int, until: float | None = None) -> float:
    """Build a snapshot, or kill its build after *until* seconds; return the seconds. Each *number* gives other data, and another key."""
    text = f"CREATE TABLE t AS SELECT i, md5((i + {number})::text) h FROM generate_series(1, {ROWS}) i; CREATE INDEX ON t (h);"
    (file.parent / "seed.sql").write_text(text)
    began = time.monotonic()
    argv = [ENVCTL, "snapshots", "build", str(file)]
    process = subprocess.Popen(argv, env=env, cwd=file.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, errors = process.communicate(timeout=until)
        assert process.returncode == 0, errors.decode()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return time.monotonic() - began


def _kept(env: dict[str, str]) -> set[str]:
    return {each["key"] for each in json.loads(run([ENVCTL, "snapshots", "--json"], env) or "[]")}


def _came_up(file: Path, env: dict[str, str], number: int) -> None:
    """Bring the instance up, and assert that it has all of its data."""
    document = json.loads(run([ENVCTL, "up", str(file), "--json"], env))
    try:
        connection = connected(document["outputs"]["URL"])
        expected = connection.run(f"SELECT md5(string_agg(md5((i + {number})::text), '' ORDER BY i)) FROM generate_series(1, {ROWS}) i")
        found = connection.run("SELECT md5(string_agg(h, '' ORDER BY i)) FROM t")
        indexed = connection.run("SELECT count(*) FROM pg_indexes WHERE tablename = 't'")
        connection.close()
        assert (found, indexed) == (expected, [[1]]), f"kill {number}: the data is not what was seeded"
    finally:
        run([ENVCTL, "down", document["id"]], env)
