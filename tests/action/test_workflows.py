"""Tests of the workflows of docs/ci/, run with `act`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from envctl.lifecycle.snapshot_commands import MANIFEST
from tests.action.conftest import Act
from tests.support import REPO

pytestmark = pytest.mark.docker
LOOKED = re.compile(r"looked at (\d+) PG (\d+) (shop-[0-9a-f]{6})")


def ran(done: subprocess.CompletedProcess[str], status: int = 0) -> list[tuple[str, ...]]:
    """Check the exit code; return the port, PostgreSQL version and instance that each test of the workflow printed."""
    assert done.returncode == status, done.stdout[-8000:] + done.stderr[-2000:]
    return LOOKED.findall(done.stdout)


def test_in_one_job(act: Act) -> None:
    assert len(ran(act.run("tests"))) == 1
    (act.folder / "tests" / "red").touch()
    try:
        assert len(ran(act.run("tests"), 1)) == 1
    finally:
        (act.folder / "tests" / "red").unlink()
    assert {"db.log", "status.json", "tests"} <= {path.name for path in (act.kept / "report").iterdir()}


def test_steps_that_share_an_instance(act: Act) -> None:
    done = act.run("steps", "docker")
    first, second = ran(done)
    assert first == second
    assert f"{first[2]} is gone" in done.stdout or "shop is gone" in done.stdout
    password = re.findall(r"postgres(?:ql)?://shop:(\w+)@", done.stdout)
    assert password == []


def test_a_matrix(act: Act) -> None:
    found = ran(act.run("matrix", "docker"))
    assert sorted(version for _, version, _ in found) == ["16", "17"]
    assert len({id for *_, id in found}) == 2


def test_shards(act: Act) -> None:
    assert len({id for *_, id in ran(act.run("shards"))}) == 2
    assert '"shard1": "+"' in (act.kept / "cache" / "history.json").read_text()


def test_caches(act: Act, tmp_path: Path) -> None:
    ran(act.run("caches", "docker", XDG_CACHE_HOME=str(tmp_path)))
    kept = act.kept / "cache" / ".cache"
    assert (kept / "images.tar").stat().st_size > 1_000_000
    assert "shop/db" in (kept / "snapshots" / MANIFEST).read_text(), "the data of the seeds as well"
    prune = [sys.executable, "-m", "envctl", "snapshots", "--prune"]
    subprocess.run(prune, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}, cwd=REPO, check=True)
