"""`test --watch-data` on the local engine: it reports what tests leave behind, whichever tool runs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from envctl.cli.up import print_leavings
from tests.support import Project

ENVIRONMENT = f"""
services:
  site: {{kind: stub}}
  cache: {{kind: valkey, with: {{password: ""}}}}
outputs: {{SITE: "${{site.url}}", PORT: "${{cache.port}}"}}
tests:
  plugin: {{run: ["{sys.executable}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]}}
  others: {{run: ["{sys.executable}", "other_tool.py"]}}
"""
PYTEST = """
import os, socket, urllib.request

def redis(*words):
    with socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))) as connection:
        connection.sendall((" ".join(words) + "\\r\\n").encode())
        assert not connection.recv(100).startswith(b"-")

def test_red():
    print("in the tests")
    redis("SET", "key", "1")
    assert 0

def test_changes_it():
    redis("SET", "key", "2")

def test_clean():
    redis("GET", "key")
"""
OTHER = """
import json, os, urllib.request as r
r.urlopen(os.environ["SITE"] + "/__admin/health")
head = {"Authorization": "Bearer " + os.environ["ENVCTL_TOKEN"]}
for test in ("first", "second"):
    if test == "first":
        try: r.urlopen(os.environ["SITE"] + "/of-no-route")
        except OSError: pass
    r.urlopen(r.Request(os.environ["ENVCTL_URL"] + "/v1/checkpoints", json.dumps({"test": test}).encode(), head))
raise SystemExit(5)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, "local")
    project.environment("env", ENVIRONMENT)
    for name, text in {"environments/test_it.py": PYTEST, "environments/other_tool.py": OTHER, "envctl.toml": ""}.items():
        project.write(name, text)
    return project


def test_the_plugin_and_other_tools_say_when_a_test_has_ended(project: Project) -> None:
    done = project.envctl("test", "env", "--watch-data", "--json")
    assert done.status == 1, done
    leaving = {
        "test_it.py::test_red": {"cache": {"keys": {"added": 1, "changed": 0, "removed": 0}}},
        "test_it.py::test_changes_it": {"cache": {"keys": {"added": 0, "changed": 1, "removed": 0}}},
        "first": {"site": {"requests": {"added": 1, "changed": 0, "removed": 0}}},
    }
    touching = {"test_it.py::test_changes_it": ["test_it.py::test_red"]}
    clean = ["test_it.py::test_clean", "second"]
    assert json.loads(done.out) == {"status": 1, "leaving": leaving, "touching": touching, "clean": clean}
    assert "1 failed, 2 passed" in done.err
    assert "others: exit 5" in done.err


def test_a_tool_that_says_nothing_is_told_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    print_leavings(False, [], 0)
    assert "no test was watched" in capfd.readouterr().err


def test_json_is_of_watched_data_alone(project: Project) -> None:
    done = project.envctl("test", "env", "--json")
    assert (done.status, "envctl test env --watch-data --json" in done.err) == (125, True), done
