"""Tests of the functions that write files into a folder in which other users may have put links or files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envctl.files.folders import FileRefused
from envctl.files.writing import always, check_file, never, write_file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "theirs").mkdir()
    return tmp_path / "project"


def test_a_file_is_made_with_its_folders(project: Path) -> None:
    write_file(project / "a/b/c.env", "A=1\n", project, ours=never, mode=0o600)
    assert (project / "a/b/c.env").read_text() == "A=1\n"
    assert (project / "a/b/c.env").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (project / "a/b").iterdir()] == ["c.env"]


def test_the_folder_itself_is_made(tmp_path: Path) -> None:
    write_file(tmp_path / "new/deep/x", b"\xff", tmp_path / "new/deep", ours=never)
    assert (tmp_path / "new/deep/x").read_bytes() == b"\xff"


def test_what_is_not_ours_stays(project: Path) -> None:
    (project / "x").write_text("mine")
    with pytest.raises(FileRefused, match="exists already, and was not written by envctl"):
        write_file(project / "x", "new", project, ours=lambda content: content == b"ours")
    with pytest.raises(FileRefused, match="exists already"):
        check_file(project / "x", project, ours=lambda content: content == b"ours")
    assert (project / "x").read_text() == "mine"


def test_what_is_ours_is_replaced_and_its_mode_with_it(project: Path) -> None:
    (project / "x").write_text("ours")
    (project / "x").chmod(0o644)
    write_file(project / "x", "new", project, ours=lambda content: content == b"ours", mode=0o600)
    assert (project / "x").read_text() == "new"
    assert (project / "x").stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_nobodys(project: Path) -> None:
    (project / "x").touch()
    write_file(project / "x", "new", project, ours=never)
    assert (project / "x").read_text() == "new"


@pytest.mark.parametrize(("link", "target", "name"), [("x", "../theirs/x", "x"), ("a", "../theirs", "a/x"), ("a", ".", "a/x")])
def test_no_link_is_followed(project: Path, link: str, target: str, name: str) -> None:
    (project / link).symlink_to(target)
    with pytest.raises(FileRefused, match="is a symbolic link"):
        write_file(project / name, "new", project, ours=always)
    with pytest.raises(FileRefused, match="is a symbolic link"):
        check_file(project / name, project, ours=always)
    assert list((project.parent / "theirs").iterdir()) == []


@pytest.mark.parametrize("name", ["../theirs/x", "a/../../theirs/x", "."])
def test_nothing_is_made_outside(project: Path, name: str) -> None:
    with pytest.raises(FileRefused, match="is outside of"):
        write_file(project / name, "new", project, ours=always)


@pytest.mark.parametrize("name", [".git/hooks/pre-commit", "sub/.GIT/config", ".git"])
def test_nothing_is_made_in_a_repositorys_own_folder(project: Path, name: str) -> None:
    with pytest.raises(FileRefused, match=r"is in \.git"):
        write_file(project / name, "new", project, ours=always)


def test_what_is_no_file_stays(project: Path) -> None:
    os.mkfifo(project / "pipe")
    with pytest.raises(FileRefused, match="not a regular file"):
        write_file(project / "pipe", "new", project, ours=always)


def test_a_file_that_cannot_be_written_leaves_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", lambda *args, **options: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_file(project / "x", "new", project, ours=always)
    assert list(project.iterdir()) == []


def test_a_look_makes_nothing(project: Path) -> None:
    check_file(project / "a/x", project, ours=never)
    assert list(project.iterdir()) == []
