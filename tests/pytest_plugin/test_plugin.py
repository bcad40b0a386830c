"""Tests of `pytest --envctl` on the local engine: one environment for the run, a lane for each worker, a lease for each test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Project, command

ENVIRONMENT = """
services:
  db:
    kind: postgres
    seed: [{sql: seed.sql}]
"""
CONNECT = """
import os, pytest
import pg8000.native
from urllib.parse import urlsplit

def run(url, sql):
    parts = urlsplit(url)
    connection = pg8000.native.Connection(
        parts.username, host=parts.hostname, port=parts.port, password=parts.password, database=parts.path[1:]
    )
    try:
        return connection.run(sql)
    finally:
        connection.close()
"""
GREEN = """
@pytest.mark.parametrize("number", range(4))
def test_a_lease_is_as_it_was_seeded(envctl_lease, number):
    lease = envctl_lease("db")
    assert run(lease.properties["url"], "SELECT count(*) FROM t") == [[1]]
    run(lease.properties["url"], "INSERT INTO t VALUES (2)")

@pytest.mark.envctl_reset("test")
@pytest.mark.parametrize("number", range(4))
def test_a_lane_is_reset(envctl_lane, number):
    assert run(envctl_lane["DB_URL"], "SELECT count(*) FROM t") == [[1]]
    run(envctl_lane["DB_URL"], "INSERT INTO t VALUES (2)")

def test_the_worker_has_its_own_lane(envctl, envctl_lane):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    assert envctl_lane.number == int(worker[2:]) + 1
    assert envctl_lane["DB_URL"].endswith(f"/app_lane{envctl_lane.number}" if "PYTEST_XDIST_WORKER" in os.environ else "/app")
    assert (envctl.name, envctl.services["db"]["state"]) == ("env", "seeded")
"""
RED = """
def test_red(envctl_lane):
    run(envctl_lane["DB_URL"], "INSERT INTO t VALUES (7)")
    assert 0

def test_clean(envctl_lane):
    run(envctl_lane["DB_URL"], "SELECT 1")

def test_table(envctl_lane):
    run(envctl_lane["DB_URL"], "CREATE TABLE empty (a int)")

"""
BREAK = """
def test_the_server_dies(envctl, envctl_lane):
    import signal
    pid = int(run(envctl_lane["DB_URL"], "SELECT pg_read_file('postmaster.pid', 0, 100)")[0][0].split()[0])
    os.kill(pid, signal.SIGKILL)
    import time
    for _ in range(200):
        time.sleep(0.05)
        run(envctl_lane["DB_URL"], "SELECT 1")
"""
CRASH = """
def test_a_worker_dies():
    os._exit(1)

def test_in_its_place(envctl_lane):
    assert os.environ["PYTEST_XDIST_WORKER"] == "gw1"
    assert envctl_lane.number == 1
    assert envctl_lane["DB_URL"].endswith("/app_lane1")
    assert os.environ["ENVCTL_LANE"] == "1", "for what a test starts"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, "local")
    project.environment("env", ENVIRONMENT)
    project.write("environments/seed.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    project.write("envctl.toml", "")
    return project


def pytest_in(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST_")}
    environ = {**ours, "ENVCTL_ENGINE": "local", "PYTEST_ADDOPTS": ""}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--envctl", "env", *words]
    return subprocess.run(argv, cwd=project.folder, env=environ, capture_output=True, text=True, check=False, timeout=300)


def nothing_is_left(project: Project) -> bool:
    return command(["list"], project.folder).ok().out.strip() == "nothing is up in this checkout"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_brings_it_up_once_and_takes_it_down(project: Project, workers: str) -> None:
    project.write("test_it.py", CONNECT + GREEN)
    done = pytest_in(project, "-n", workers)
    assert (done.returncode, "9 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    assert nothing_is_left(project)


def test_a_worker_in_the_place_of_one_that_has_crashed_gets_its_lane(project: Project) -> None:
    project.write("test_it.py", CONNECT + CRASH)
    done = pytest_in(project, "--dist", "load", "--tx", "1*popen", "--envctl-lanes", "1")
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr


def test_more_workers_than_lanes_are_refused_before_anything_is_brought_up(project: Project) -> None:
    project.write("test_it.py", CONNECT + GREEN)
    project.environment("env", "services: {db: {kind: postgres, image: 'envctl.invalid/none:1'}}\n")
    done = pytest_in(project, "-n", "3", "--envctl-lanes", "2")
    assert done.returncode == 125, done.stdout + done.stderr
    assert "env has 2 lanes, and there are 3 workers" in done.stdout + done.stderr
    assert "node down" not in done.stdout
    assert nothing_is_left(project)


def test_a_red_test_shows_how_the_environment_was_and_who_left_data(project: Project) -> None:
    project.write("test_it.py", CONNECT + RED)
    done = pytest_in(project, "--envctl-watch-data")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "db: seeded" in done.stdout
    assert "  test_it.py::test_red: db.t +1" in done.stdout
    assert "  test_it.py::test_table: db.(tables) +1" in done.stdout
    assert "1 test left nothing behind" in done.stdout
    assert nothing_is_left(project)


def test_a_broken_environment_is_an_error_and_not_the_tests_failure(project: Project) -> None:
    project.write("test_it.py", CONNECT + BREAK)
    done = pytest_in(project)
    assert "1 error" in done.stdout, done.stdout + done.stderr
    assert "the environment is broken: db is failed" in done.stdout


def test_an_environment_that_does_not_come_up_ends_the_run(project: Project) -> None:
    project.write("environments/seed.sql", "CREATE TABEL t;")
    project.write("test_it.py", CONNECT + GREEN)
    done = pytest_in(project)
    assert done.returncode == 125
    assert "seed.sql:1" in done.stdout + done.stderr
    assert nothing_is_left(project)


def test_without_an_environment_the_fixture_says_what_to_do(project: Project) -> None:
    project.write("test_it.py", "def test_it(envctl): ...")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert "name one with --envctl ENV" in done.stdout
