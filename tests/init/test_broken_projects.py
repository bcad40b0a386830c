"""Tests that no content of a project's folder gives a traceback, and that `init` still writes a definition."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from envctl.init import gather, propose
from envctl.init.env_example import server_property
from envctl.init.model import ExampleVariable, KeyValue, ListOfMaps, OneLine
from envctl.init.project_files import MAX_DEPTH, ProjectFiles
from envctl.init.proposal_yaml import comment, lines, scalar
from envctl.init.references import plain_value
from tests.init.conftest import Files, Propose

NAMES = [
    "package.json", "pyproject.toml", "requirements.txt", "go.mod", "Gemfile", "pom.xml", "build.gradle", "composer.json", "Cargo.toml",
    "Pipfile", "x.csproj", ".env.example", "Dockerfile", "openapi.yaml", "openapi.json", "schema.prisma", "alembic.ini", "schema.sql",
    "contracts/x.json", "migrations/1.sql", "docker-compose.yml.bak",
]  # fmt: skip
CONTENTS = [
    b"", b"\0\1\2", b"\xff\xfe\x00", b"{", b"[]", b"null", b"[" * 20_000, b"a = [", b"project = 3", b"\xe9\xe8", b"x" * 2_000_000,
    b'{"scripts": 3, "dependencies": [], "paths": {"/": 1}, "openapi": 3}',
    b"tool = {poetry = {group = {dev = 1}}}",
    b"FROM\nEXPOSE a b 99999999\nCOPY\nHEALTHCHECK",
    b"DATABASE_URL=postgres://[::1/x\nX_URL=http://a:b:c\nY_URL=http://[\n=3\nA=${B}\n",
]  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_broken_files(sample: Propose, content: bytes) -> None:
    sample(dict.fromkeys(NAMES, content))


def test_what_is_no_file(tmp_path: Path, sample: Propose) -> None:
    root = tmp_path / "shop"
    (root / "package.json").mkdir(parents=True)
    os.mkfifo(root / "requirements.txt")
    (root / "go.mod").symlink_to("nowhere")
    (root / "loop").symlink_to(root)
    (root / "Dockerfile").symlink_to("/dev/zero")
    assert list(sample({}).services) == ["db"]


def test_folders_of_dependencies_are_skipped(project: Callable[[Files], Path]) -> None:
    root = project({f"{folder}/requirements.txt": "psycopg" for folder in ("node_modules", ".venv", "vendor/x", "py", "a/b/c/d/e/f/g/h/i")})
    (root / "py" / "pyvenv.cfg").write_text("")
    assert gather(root).drivers == ()
    assert all(len(path.parts) <= MAX_DEPTH + 1 for path in ProjectFiles.read(root).files)


def test_utf16_of_powershell_is_read(project: Callable[[Files], Path]) -> None:
    root = project({"requirements.txt": "psycopg\r\n".encode("utf-16")})
    assert [driver.kind for driver in gather(root).drivers] == ["postgres"]


values = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@given(values)
def test_any_text_is_a_scalar(text: str) -> None:
    assert yaml.safe_load(f"key: {scalar(text)}") == {"key": text}


@example("k", "A?", "").via("what PyYAML refuses within brackets only")
@given(values, values, values)
def test_any_entry_is_read_again(key: str, value: str, because: str) -> None:
    tree = KeyValue(
        "top", (KeyValue(key, value, because), KeyValue("list", OneLine((value, 1, True))), KeyValue("map", OneLine({key: value})))
    )
    text = "\n".join(lines(tree, 0))
    below = {key: value, "list": [value, 1, True], "map": {key: value}}
    if key not in ("list", "map"):
        assert yaml.safe_load(text) == {"top": below}


@given(values)
def test_steps_are_read_again(value: str) -> None:
    text = "\n".join(lines(KeyValue("seed", ListOfMaps(((KeyValue("a", value), KeyValue("b", OneLine((value,)))),))), 2))
    assert yaml.safe_load(text) == {"seed": [{"a": value, "b": [value]}]}


@given(values)
def test_comments_stay_on_their_line(text: str) -> None:
    assert yaml.safe_load(f"a: 1 # {comment(text)}\nb: 2") == {"a": 1, "b": 2}


@given(st.sampled_from(["DATABASE_URL", "REDIS_URL", "PAYMENTS_URL", "PGHOST", "S3_BUCKET", "SECRET_KEY", "X"]), values)
def test_any_value_of_a_variable(name: str, value: str) -> None:
    variable = ExampleVariable(name, value, PurePosixPath(".env.example"))
    server_property(variable)
    plain_value(variable, True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=60))
def test_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "any" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    propose(gather(tmp_path / "any"))


def test_what_nobody_has_written_by_hand_is_not_searched(project: Callable[[Files], Path]) -> None:
    filler = "x = 1\n" * 50_000
    root = project({"small.py": 'os.environ["ORDERS_DB_URL"]', "made.py": f'{filler}os.environ["OTHER_DB_URL"]'})
    assert [variable.name for variable in gather(root).variables] == ["ORDERS_DB_URL"]
