"""Tests of the command `init`: what it writes, what it refuses, what it asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml

from envctl.cli.init import init_
from envctl.errors import EnvctlError, UsageError
from tests.init.conftest import Files

FILES = {"requirements.txt": "psycopg\nboto3\n", ".env.example": "PAYMENTS_URL=https://pay.example.com\n"}


@pytest.fixture
def here(project: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], Path]:
    def enter(files: Files) -> Path:
        root = project(files)
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
        return root

    return enter


def test_it_writes_the_environment_and_its_files(here: Callable[[Files], Path], capsys: pytest.CaptureFixture[str]) -> None:
    root = here(FILES)
    init_()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["wrote environments/shop.yaml", "wrote environments/stubs/payments.json"]
    assert "next: envctl up shop" in printed.err
    assert "files" in printed.err  # a service that `init` guesses because the project uses boto3
    assert yaml.safe_load((root / "environments" / "shop.yaml").read_text())["name"] == "shop"


@pytest.mark.parametrize("there", ["shop.yaml", "shop.yml", "shop/environment.yaml", "stubs/payments.json"])
def test_it_never_overwrites(here: Callable[[Files], Path], there: str) -> None:
    root = here({**FILES, f"environments/{there}": "mine"})
    with pytest.raises(UsageError, match=there) as refused:
        init_()
    assert "--force" in refused.value.hint
    assert [path.read_text() for path in (root / "environments").rglob("*.*") if path.is_file()] == ["mine"]


def test_force_replaces(here: Callable[[Files], Path]) -> None:
    root = here({**FILES, "environments/shop.yaml": "mine"})
    init_(force=True)
    assert "kind: postgres" in (root / "environments" / "shop.yaml").read_text()


def test_print_writes_nothing(here: Callable[[Files], Path], capsys: pytest.CaptureFixture[str]) -> None:
    root = here(FILES)
    init_(print_=True)
    assert yaml.safe_load(capsys.readouterr().out)["services"]["db"] == {"kind": "postgres"}
    assert not (root / "environments").exists()


def test_a_schema_on_request(here: Callable[[Files], Path]) -> None:
    root = here({})
    init_(name="small", schema=True)
    text = (root / "environments" / "small.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=envctl.schema.json\n")
    assert (root / "environments" / "envctl.schema.json").read_text().startswith("{")


@pytest.mark.parametrize("name", ["self", "a b", "-", "x" * 41])
def test_a_name_that_is_none(here: Callable[[Files], Path], name: str) -> None:
    here({})
    with pytest.raises(UsageError, match="--name"):
        init_(name=name)


def test_on_a_terminal_it_asks_only_about_what_is_unsure(here: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = here(FILES)
    asked: list[str] = []

    def prompt(text: str, default: str, err: bool) -> str:
        asked.append(text)
        return default

    def confirm(text: str, default: bool, err: bool) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(typer, "confirm", confirm)
    init_()
    assert asked == ["The environment's name", "Include files (s3; requirements.txt: boto3)?"]
    assert list(yaml.safe_load((root / "environments" / "shop.yaml").read_text())["services"]) == ["db", "payments"]


def test_yes_asks_nothing(here: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here(FILES)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", lambda *args, **more: pytest.fail("asked"))
    init_(yes=True)


def test_a_file_in_the_folders_place_is_said(here: Callable[[Files], Path]) -> None:
    here({"environments": "a file"})
    with pytest.raises(EnvctlError, match="environments"):
        init_()
