"""A Compose file's database that has been initialised once, on Docker."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pg8000.native
import pytest

from tests.support import REQUIRED, Project, command, missing

FILE = """
services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw, POSTGRES_DB: shop}
    secrets: [pw]
    volumes: ["db-data:/var/lib/postgresql/data"]
    ports: ["5432"]
volumes: {db-data: {}}
secrets: {pw: {file: ./pw.txt}}
"""


def rows(url: str, query: str) -> list[list[object]]:
    at = urlsplit(url)
    with pg8000.native.Connection("postgres", host="127.0.0.1", port=at.port, password=at.password, database="shop", timeout=30) as found:
        return list(found.run(query) or [])


@pytest.mark.skipif("docker" in missing and "docker" not in REQUIRED, reason=f"no Docker here: {missing.get('docker')}")
def test_a_server_of_a_compose_file_begins_as_it_was_initialised_with_the_same_file(tmp_path: Path) -> None:
    project = Project(tmp_path / "envctl-tests", "docker")
    env = {"ENVCTL_NO_SNAPSHOTS": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), "ENVCTL_ENGINE": "docker"}
    project.write("envctl.toml", "")
    project.write("compose.yaml", FILE)

    def run(*words: str) -> str:
        return command(list(words), project.folder, env).ok().out

    def up(password: str) -> str:
        """The URL of a server that was not initialised by itself."""
        project.write("pw.txt", f"{password}\n")
        assert run("snapshots", "build", "compose.yaml").startswith("kept envctl-tests/db")
        url: str = command(["up", "compose.yaml", "--name", "kc", "--json"], project.folder, env).ok().json["outputs"]["DB_URL"]
        assert urlsplit(url).password == password
        assert "init process complete" not in run("logs", "kc", "db")
        return url

    try:
        first = up("sesame")
        assert rows(first, "show data_directory") == [["/var/lib/postgresql/data"]]
        rows(first, "create table t (i int)")
        run("reset", "kc", "db")
        assert rows(first, "select to_regclass('t')") == [[None]]
        assert "init process complete" not in run("logs", "kc", "db")
        run("down", "kc")
        second = up("mustard")
        assert rows(second, "select 1") == [[1]]
        with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
            rows(second.replace("mustard", "sesame"), "select 1")
    finally:
        run("down", "--all")
        run("snapshots", "--prune")
