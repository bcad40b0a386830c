"""Tests of the argument ENV (a name, a file, a folder or a Compose file), and of finding the project's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.find import compose_files, environments, find_environment, find_project, project_of
from envctl.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("environments/shop.yaml", "environments/bus.yml", "environments/big/environment.yaml", "compose.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "environments" / "empty").mkdir()
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.envctl]\n")
    return tmp_path


@pytest.mark.parametrize(
    ("env", "file"),
    [
        ("shop", "environments/shop.yaml"),
        ("bus", "environments/bus.yml"),
        ("big", "environments/big/environment.yaml"),
        ("environments/shop.yaml", "environments/shop.yaml"),
        ("environments/big", "environments/big/environment.yaml"),
        ("environments/big/", "environments/big/environment.yaml"),
        ("compose.yaml", "compose.yaml"),
        (".", "compose.yaml"),
    ],
)
def test_an_environment(root: Path, env: str, file: str) -> None:
    found = find_environment(env, root)
    assert found.file == root / file
    assert found.project == root


def test_from_a_folder_below(root: Path) -> None:
    assert find_environment("shop", root / "src" / "deep").file == root / "environments" / "shop.yaml"
    assert find_environment("../environments/shop.yaml", root / "src").project == root
    assert project_of(root / "src" / "deep") == root


def test_the_known_names(root: Path) -> None:
    assert list(environments(root)) == ["big", "bus", "shop"]
    assert environments(root / "src") == environments(root)


@pytest.mark.parametrize(
    ("env", "hint"),
    [
        ("shpo", "did you mean 'shop'?"),
        ("x", "known: big, bus, shop"),
        ("a/b.yaml", "no such file"),
        ("environments/empty", "no such"),
    ],
)
def test_an_unknown_environment(root: Path, env: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_environment(env, root)
    assert str(caught.value).startswith(f"there is no environment '{env}'\n")
    assert hint in caught.value.hint


def test_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="envctl init"):
        find_environment("shop", tmp_path)


def test_a_compose_file_is_named_where_nothing_else_is(tmp_path: Path) -> None:
    for name in ("docker-compose.yml", "compose.prod.yaml", "docker-compose.override.yml", "other.yaml"):
        (tmp_path / name).touch()

    (tmp_path / "compose.folder.yaml").mkdir()

    assert compose_files(tmp_path) == ["docker-compose.yml", "compose.prod.yaml"]
    assert compose_files(tmp_path / "missing") == []
    for env in ("shop", "compose.yaml"):
        with pytest.raises(UsageError) as caught:
            find_environment(env, tmp_path)
        assert caught.value.hint.startswith("known here: docker-compose.yml, compose.prod.yaml; `envctl init` adds")


def test_the_project_of_a_lone_file() -> None:
    root = Path("/nowhere")  # a parent of a temporary folder may contain a project marker; no parent of this path does
    assert find_project(root / "environments" / "shop.yaml") == root
    assert find_project(root / "environments" / "shop" / "environment.yaml") == root
    assert find_project(root / "x" / "shop.yaml") == root / "x"


@pytest.mark.parametrize("name", ["envctl.toml", ".git", "pyproject.toml"])
def test_what_marks_a_project(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[tool.envctl]\n")
    (tmp_path / "inner").mkdir()
    assert find_project(tmp_path / "inner" / "a" / "shop.yaml") == tmp_path
    (tmp_path / "inner" / "pyproject.toml").write_text("[tool.other]\nbroken =")
    assert find_project(tmp_path / "inner" / "a" / "shop.yaml") == tmp_path
    (tmp_path / "inner" / "envctl.toml").touch()
    assert find_project(tmp_path / "inner" / "a" / "shop.yaml") == tmp_path / "inner"


def test_the_working_folder_decides_where_it_holds_the_definition(root: Path) -> None:
    (root / "environments" / "envctl.toml").touch()
    assert find_project(root / "environments" / "shop.yaml", root) == root
    assert find_project(root / "environments" / "shop.yaml", root / "src") == root / "environments"
