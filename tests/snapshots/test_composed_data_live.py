"""Tests that the data of a Compose file's database, started from a snapshot, survives everything that recreates its container."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import REQUIRED, Done, Project, command, missing

IMAGE = f"postgres:envctl-tests-{os.getpid()}"
DB = f"""
  db:
    image: {IMAGE}
    environment: {{POSTGRES_PASSWORD: x}}
    ports: ["5432"]
"""
CACHE = "  cache: {image: 'valkey/valkey:8.1', labels: [LABEL]}\n"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Site:
    project: Project
    env: dict[str, str]

    def __call__(self, *words: str) -> Done:
        return command(list(words), self.project.folder, self.env)

    def write(self, *parts: str) -> None:
        self.project.write("compose.yaml", "services:\n" + "".join(parts))

    def up(self, *parts: str) -> None:
        self.write(*parts)
        self("up", "compose.yaml", "--name", "kd").ok()

    def sql(self, text: str) -> str:
        return self("exec", "kd", "db", "--", "psql", "-U", "postgres", "-Atc", text).ok().out.strip()

    def container(self) -> str:
        return docker("ps", "-q", "--filter", "label=envctl.name=kd", "--filter", "label=envctl.service=db")

    def image(self) -> str:
        return docker("inspect", self.container(), "--format", "{{.Config.Image}}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if "docker" in missing and "docker" not in REQUIRED:
        pytest.skip(f"no Docker here: {missing['docker']}")
    folder = tmp_path_factory.mktemp("kd")
    env = {"ENVCTL_NO_SNAPSHOTS": "", "XDG_CACHE_HOME": str(folder / "cache"), "ENVCTL_ENGINE": "docker"}
    site = Site(Project(folder / "envctl-tests", "docker"), env)
    site.project.write("envctl.toml", "")
    docker("tag", "postgres:17", IMAGE)
    try:
        site.write(DB, CACHE)
        site("snapshots", "build", "compose.yaml").ok()
        yield site
    finally:
        site("down", "--all").ok()
        site("snapshots", "--prune").ok()
        docker("rmi", IMAGE)


@pytest.fixture
def table(site: Site) -> str:
    """Create a table in a database that runs from its snapshot; return a query of the table."""
    site("down", "--all").ok()
    site.up(DB, CACHE)
    assert site.image().startswith("envctl/snapshot:")
    site.sql("create table t as select 7")
    return "select * from t"


def test_a_restart_with_a_changed_definition(site: Site, table: str) -> None:
    before = site.container()
    site.write(DB, "    labels: [another]\n", CACHE)
    site("restart", "kd", "db", "--build").ok()
    assert site.container() != before
    assert site.sql(table) == "7"


def test_a_service_that_is_left_out_for_a_while(site: Site, table: str) -> None:
    site.up(CACHE)
    assert site.container() == ""
    site.up(DB, CACHE)
    assert site.sql(table) == "7"


def test_the_server_s_own_image_is_gone(site: Site, table: str) -> None:
    docker("rmi", IMAGE)
    try:
        site.write(DB, "    labels: [gone]\n", CACHE)
        done = site("up", "compose.yaml", "--name", "kd")
        assert (done.status, "cannot be pulled" in done.err, "bug in envctl" in done.err) == (1, True, False)
    finally:
        docker("tag", "postgres:17", IMAGE)
    site("up", "compose.yaml", "--name", "kd").ok()
    assert site.sql(table) == "7"


def test_another_image_has_the_name_of_the_snapshot(site: Site, table: str) -> None:
    docker("tag", "valkey/valkey:8.1", site.image())
    site.up(DB, CACHE.replace("LABEL", "other"))
    assert site.sql(table) == "7"


MY = """
  db:
    image: mariadb:11.8
    environment: {MARIADB_ROOT_PASSWORD: x, MARIADB_DATABASE: old}
    volumes: ["./init.sql:/docker-entrypoint-initdb.d/init.sql:ro"]
    ports: ["3306"]
"""


def test_tables_that_old_servers_cannot_open_in_an_image_are_in_a_volume(site: Site) -> None:
    site("down", "--all").ok()
    site.project.write("init.sql", "create table t (i int) engine=MyISAM; insert into t values (7);\n")
    site.write(MY)
    assert site("snapshots", "build", "compose.yaml").ok().out.startswith("kept envctl-tests/db")
    site.up(MY)
    assert site.image() == "mariadb:11.8"
    assert "Initializing database files" not in site("logs", "kd", "db").ok().out
    query = site("exec", "kd", "db", "--", "mariadb", "-uroot", "-px", "old", "-Ne", "select * from t").ok().out
    assert query.strip() == "7"
    mounts = docker("inspect", site.container(), "--format", "{{range .Mounts}}{{.Name}} {{end}}")
    assert [name.partition(".")[2] for name in mounts.split()] == ["db"]
