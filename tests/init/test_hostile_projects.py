"""Tests of hostile projects: each reader of `init` gets a megabyte of the input that is slowest for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.init.project_files import MAX_CHARACTERS, MAX_LINE, ProjectFiles
from tests.fuzz.runner import run

SIZE = 990_000
WORST = {
    "requirements.txt": "a[" + "a," * (SIZE // 2),
    "x/requirements.txt": "a" * (SIZE // 2) + "[" + "a," * (SIZE // 4) + "]",
    "pyproject.toml": "a." * (SIZE // 2),
    "x/pyproject.toml": "a = " + "[" * SIZE,
    "Pipfile": "a" * 200 + ".b" * (SIZE // 2) + " = 1",
    "package.json": "[" * SIZE,
    "x/package.json": '{"dependencies": {' + '"a": 1, ' * (SIZE // 8),
    "composer.json": "    a: x\n" * (SIZE // 9),
    "go.mod": "a." * (SIZE // 2),
    "x/go.mod": "require " * (SIZE // 8),
    "y/go.mod": "a.b/" * (SIZE // 4),
    "Gemfile": "\n" * SIZE,
    "x/Gemfile": "gem" + " " * SIZE,
    "pom.xml": "<artifactId> " * (SIZE // 13),
    "build.gradle": "id " * (SIZE // 3),
    "x/build.gradle": "id" + " " * SIZE,
    "build.gradle.kts": "'a:" * (SIZE // 3),
    "Cargo.toml": "[a" + ".a" * (SIZE // 2) + "]",
    "a.csproj": "<PackageReference " * (SIZE // 18),
    ".env.example": "A_" * 2000 + "=x\n" + "A=${A}${A}\n" * (SIZE // 11),
    ".env": "A=$A$A\n" * (SIZE // 7),
    "Dockerfile": "FROM a\n" + "RUN a \\\n" * (SIZE // 8),
    "x/Dockerfile": "FROM a\nCMD " + "npm run " * (SIZE // 8),
    "y/Dockerfile": "FROM a AS a\nCOPY --from=a a a\n" * (SIZE // 31),
    "z/Dockerfile": "FROM a\nHEALTHCHECK CMD curl " + "http://a" * (SIZE // 8),
    "openapi.yaml": "a:\n" + "  - a\n" * (SIZE // 6),
    "x/openapi.yaml": "[" + "a," * (SIZE // 2),
    "y/openapi.json": '{"openapi": ' * (SIZE // 12),
    "compose.yaml": "- - " * (SIZE // 4),
    "x/docker-compose.yml": "a: &a\n" * (SIZE // 6),
    ".github/workflows/a.yml": "- run: a\n" * (SIZE // 9),
    ".gitlab-ci.yml": "a: &a [*a,\n" * (SIZE // 11),
    "schema.prisma": "provider = " * (SIZE // 11),
    "schema.sql": "--\n" * (SIZE // 3),
    "db/migrations/1.sql": "-- +" * (SIZE // 4),
    "a.py": "env('AAA', default=" * (SIZE // 19),
    "b.py": "BaseSettings\n" + "    aa : b" * (SIZE // 10),
    "c.js": "process.env.AAA || " * (SIZE // 19),
    "application.yml": "a.b." * (SIZE // 4),
    "a.postman_collection.json": "getpostman.com/json/collection" + "{{url" * (SIZE // 5),
    "a.hurl": "{{" + "url" * (SIZE // 3),
    "k.js": "from 'k6'" + "__ENV." + "URL" * (SIZE // 3),
    "alembic.ini": "migrate " * (SIZE // 8),
}


@pytest.mark.parametrize("batch", range(3))
def test_whatever_is_in_them_it_ends(tmp_path: Path, batch: int) -> None:
    """The run stays within the limits of time and memory of `make fuzz`."""
    folder = tmp_path / "project"
    for name, text in list(WORST.items())[batch::3]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert run(["init", "--print"], folder) == ""


def test_of_all_files_together_a_limited_part_is_read(tmp_path: Path) -> None:
    for number in range(3 + MAX_CHARACTERS // SIZE):
        (tmp_path / f"{number:03}").write_text("x" * SIZE)
    project = ProjectFiles.read(tmp_path)
    assert sum(len(project.text(path, whole=True)) for path in project.files) <= MAX_CHARACTERS
    assert project.text(project.files[-1], whole=True) == ""


def test_lines_that_nobody_has_written_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first\n" + "x" * (MAX_LINE + 1) + "\nlast")
    project = ProjectFiles.read(tmp_path)
    assert project.text(project.files[0]) == "first\nlast"
