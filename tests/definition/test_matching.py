"""Tests of file patterns."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from envctl.definition import matching as module
from envctl.definition.matching import TooManyFiles, matching

FILES = ["a.sql", "m/b.sql", "m/n/c.sql", "m/n/d.py", ".hidden/e.sql", "m/.f.sql"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    ["*.sql", "**/*.sql", "m/**/*.sql", "m/*", "m/n/c.sql", "m/**", "**/n/*.p?", "[am]*", "x/**", ".hidden/*", "no"],
)
def test_the_same_as_glob(folder: Path, pattern: str) -> None:
    files = {path for path in glob.iglob(pattern, root_dir=folder, recursive=True) if (folder / path).is_file()}
    assert {path for path in matching(pattern, folder) if (folder / path).is_file()} == files


def test_links_that_lead_round_are_not_followed(folder: Path) -> None:
    for name in "xyz":
        (folder / "m" / name).symlink_to("..")
    assert sorted(matching("**/*.sql", folder)) == ["a.sql", "m/b.sql", "m/n/c.sql"]


def test_too_many_files_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    with pytest.raises(TooManyFiles, match="name a folder"):
        list(matching("**/x", folder))


def test_many_stars_are_no_work(folder: Path) -> None:
    deep = folder / Path(*["a"] * 60)
    deep.mkdir(parents=True)
    assert list(matching("/".join(["**", "a"] * 25 + ["x"]), folder)) == []
