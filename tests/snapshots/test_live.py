"""Tests of building, using and removing snapshots on real engines, with one environment for all tests that need a twin."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import unquote, urlsplit

import pg8000.native
import pytest

from tests.support import ENGINES, REPO, REQUIRED, Done, Project, command, missing

TEXT = """
variables: {pw: "it's; a \\\\ \\u00fc"}
services:
  db:
    kind: postgres
    version: "VERSION"
    with: {databases: [app, more], users: {bob: {}}, password: "${var.pw}"}
    seed:
      - sql: tables.sql
  cache:
    kind: valkey
    env: {P: "${self.port}"}
    seed:
      - command: [sh, -c, 'CLIENT set a b']
        in: server
        inputs: [tables.sql]
      - {command: "sh -c ':'", in: server}
outputs: {URL: "${db.url}", BOB: "${db.users.bob.url}", CACHE: "${cache.url}"}
"""
SMALL = """
services:
  cache:
    kind: valkey
    env: {P: "${self.port}"}
    seed:
      - command: [sh, -c, 'CLIENT set a b']
        in: server
        inputs: [tables.sql]
"""
CLIENT = '"$(command -v valkey-cli || command -v redis-cli)" -h 127.0.0.1 -p "$P"'
TABLES = "create table t (i int); insert into t select generate_series(1, 1000);\n"


REGISTRY = "127.0.0.1:5000"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


class Kept:
    """A project with its own cache of snapshots."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.project = Project(folder, engine)
        self.env = {"ENVCTL_NO_SNAPSHOTS": "", "XDG_CACHE_HOME": str(folder.parent / "cache"), "ENVCTL_ENGINE": engine}
        (folder / "envctl.toml").write_text("")
        version = "16" if engine == "local" else "17"
        self.project.environment("kept", dedent(TEXT).replace("VERSION", version).replace("CLIENT", CLIENT))
        self.project.environment("small", dedent(SMALL).replace("CLIENT", CLIENT))
        self.project.write("environments/tables.sql", TABLES)

    def __call__(self, *words: str, **env: str) -> Done:
        return command(list(words), self.project.folder, {**self.env, **env})

    @property
    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self("snapshots", "--json").ok().json
        return found

    def up(self, name: str, *words: str) -> dict[str, str]:
        """Start the instance *name* and return its outputs; check that it uses a snapshot unless `--no-snapshots` is given."""
        done = self("up", "kept", "--name", name, "--json", *words).ok()
        assert ("seeding: sql tables.sql" in done.err) == ("--no-snapshots" in words)
        assert ("a copy of the data for `reset`" in done.err) == ("--no-snapshots" in words), "that is in the snapshot"
        outputs: dict[str, str] = done.json["outputs"]
        return outputs


@pytest.fixture(scope="module", params=["docker", "local"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Yield a project whose two snapshots are built."""
    engine = str(request.param)
    assert engine in ENGINES
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path_factory.mktemp("kept") / "envctl-tests"
    folder.mkdir()
    found = Kept(folder, engine)
    assert found("snapshots", "build", "kept").ok().out.count("kept kept/") == 2
    yield found
    found("down", "--all")
    found("snapshots", "--prune").ok()
    assert found.listed == []


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    at = urlsplit(url)
    given: dict[str, Any] = {"password": unquote(at.password or ""), "host": "127.0.0.1", "port": at.port, "database": at.path[1:]}
    with pg8000.native.Connection(unquote(at.username or ""), timeout=30, **given) as connection:
        return [tuple(row) for row in connection.run(query) or []]


def test_each_instance_has_the_data_and_passwords_of_its_own(kept: Kept) -> None:
    one, other = kept.up("one"), kept.up("other", "--set", "pw=another")

    assert rows(one["URL"], "select count(*), current_user from t")[0][0] == 1000
    assert rows(other["BOB"], "select current_user") == [("bob",)]
    for url in ("URL", "BOB", "CACHE"):
        assert one[url].rpartition("@")[0] != other[url].rpartition("@")[0]
    with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
        rows(one["BOB"].rpartition("@")[0] + "@" + other["BOB"].rpartition("@")[2], "select 1")
    assert kept("exec", "one", "cache", "--", "sh", "-c", f"{CLIENT} get a").ok().out.strip() == "b"
    rows(one["URL"], "delete from t")
    assert rows(other["URL"], "select count(*) from t") == [(1000,)]
    kept("reset", "one", "db").ok()
    assert rows(one["URL"], "select count(*) from t") == [(1000,)]
    kept("down", "other").ok()


def test_pods_begin_as_what_docker_has_kept(kept: Kept) -> None:
    """Without a registry, pods are seeded again; tests/lifecycle tests that."""
    if kept.project.engine == "local":
        pytest.skip("what Docker keeps is meant")
    if "kubernetes" in missing or not answers(f"http://{REGISTRY}/v2/"):
        pytest.skip(f"no Kubernetes with a registry at {REGISTRY} here")
    try:
        pods = kept.up("pods", "--engine", "kubernetes", "--registry", REGISTRY)
        assert rows(pods["BOB"], "select current_user") == [("bob",)]
        assert rows(pods["URL"], "select count(*) from t") == [(1000,)]
        with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
            rows(pods["BOB"].replace("bob:", "bob:x"), "select 1")
    finally:
        kept("down", "pods").ok()


def test_what_is_there_is_not_made_again(kept: Kept) -> None:
    assert kept("snapshots", "build", "kept").ok().out.strip() == "nothing to build: everything that can be kept is kept already"


def test_images_that_are_built_do_not_stand_in_its_way(kept: Kept) -> None:
    if kept.project.engine == "local":
        pytest.skip("nothing is built there")
    kept.project.write("own/Dockerfile", f"FROM valkey/valkey:8.1\nLABEL of={os.getpid()}\n")
    kept.project.environment("built", dedent(SMALL).replace("CLIENT", CLIENT) + "  own: {build: ../own}\n")
    assert kept("snapshots", "build", "built").ok().out.strip() == "nothing to build: everything that can be kept is kept already"


def test_what_an_instance_changed_outlives_a_change_of_its_definition(kept: Kept) -> None:
    url = kept.up("one")["URL"]
    rows(url, "insert into t values (-1)")
    file = kept.project.folder / "environments/kept.yaml"
    before = file.read_text()
    try:
        file.write_text(before.replace("    kind: postgres\n", "    kind: postgres\n    stop: 20s\n"))
        url = kept.up("one")["URL"]
        assert rows(url, "select count(*), min(i) from t") == [(1001, -1)]
    finally:
        file.write_text(before)


def test_another_byte_is_other_data(kept: Kept) -> None:
    file = kept.project.folder / "environments/tables.sql"
    try:
        file.write_text(TABLES.replace("1000", "1001"))
        assert "has changed since its data was seeded" in kept("up", "kept", "--name", "one").err
        kept("reset", "one", "db").ok()
        assert rows(kept("env", "one", "--format", "json").json["URL"], "select count(*) from t") == [(1001,)]
    finally:
        file.write_text(TABLES)
        kept("down", "one").ok()


def test_what_was_exported_is_imported(kept: Kept) -> None:
    before = {each["key"] for each in kept.listed}
    out = kept.project.folder.parent / "out"
    kept("snapshots", "export", str(out)).ok()
    kept("snapshots", "--prune").ok()
    assert kept.listed == []

    kept("snapshots", "import", str(out)).ok()

    assert {each["key"] for each in kept.listed} == before
    assert rows(kept.up("one", "--no-snapshots")["URL"], "select count(*) from t") == [(1000,)]
    kept("down", "one").ok()
    assert rows(kept.up("one")["URL"], "select count(*) from t") == [(1000,)]
    kept("down", "one").ok()


KILLED = """
import os, signal, sys

def end(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def patched(module, owner, name):
    from importlib import import_module
    setattr(getattr(import_module(module), owner) if owner else import_module(module), name, end)

patched(*sys.argv[1:4])
sys.argv = ["envctl", *sys.argv[4:]]
from envctl.cli import main
main()
"""
MOMENTS: Mapping[str, tuple[str, str, str, str]] = {
    "before it has its name": ("docker", "docker.api.image", "ImageApiMixin", "tag"),
    "before its folder has its name": ("local", "os", "", "rename"),
    "before it is known": ("", "envctl.snapshots.index", "Index", "add"),
}


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_what_was_killed_while_it_was_made_is_not_taken(kept: Kept, moment: str) -> None:
    where, *what = MOMENTS[moment]
    if where not in ("", kept.project.engine):
        pytest.skip("this engine has no such moment")
    file = kept.project.folder / "environments/tables.sql"
    before = kept.listed
    try:
        file.write_text(f"{TABLES}-- {moment}\n")
        environ = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")} | kept.env
        words = [sys.executable, "-c", KILLED, *what, "snapshots", "build", "small"]
        killed = subprocess.run(words, cwd=kept.project.folder, env={**environ, "PYTHONPATH": str(REPO)}, capture_output=True, timeout=300)
        assert killed.returncode == -9, killed.stderr.decode()
        assert kept.listed == before
        assert kept("snapshots", "build", "small").ok().out.startswith("kept small/cache")
        assert len(kept.listed) == len(before) + 1
    finally:
        file.write_text(TABLES)
