"""Tests of the functions that read a project's files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from envctl.files.folders import FileRefused
from envctl.files.reading import files_below, open_file, read_file
from tests.builders import write


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, {"secret": "outside", "project/a/b.txt": "inside"})
    return tmp_path / "project"


def test_what_is_inside_is_read(project: Path) -> None:
    assert read_file(project / "a/b.txt", project) == b"inside"
    assert read_file(project / "a/../a/b.txt", project) == b"inside"


def test_links_lead_to_places_inside(project: Path) -> None:
    (project / "link").symlink_to("a/b.txt")
    (project / "folder").symlink_to(project / "a")
    assert read_file(project / "link", project) == b"inside"
    assert read_file(project / "folder/b.txt", project) == b"inside"


@pytest.mark.parametrize("name", ["link", "folder/secret", "../secret", "chain"])
def test_nothing_outside_is_read(project: Path, name: str) -> None:
    (project / "link").symlink_to("../secret")
    (project / "chain").symlink_to("link")
    (project / "folder").symlink_to("..")
    with pytest.raises(FileRefused, match="is outside of"):
        read_file(project / name, project)


def test_a_link_that_comes_in_between_is_not_followed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker who can write to the project may replace the file between the check and the read."""
    real = os.path.realpath

    def replaced(path: str | Path) -> str:
        found = real(path)
        if found.endswith("b.txt"):
            (project / "a/b.txt").unlink()
            (project / "a/b.txt").symlink_to("../../secret")
        return found

    monkeypatch.setattr(os.path, "realpath", replaced)
    with pytest.raises(FileRefused, match="not a regular file"):
        read_file(project / "a/b.txt", project)


def test_a_folder_that_becomes_a_link_is_not_followed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.path.realpath

    def replaced(path: str | Path) -> str:
        found = real(path)
        if found.endswith("b.txt"):
            (project / "a").rename(project / "gone")
            (project / "a").symlink_to("..")
        return found

    monkeypatch.setattr(os.path, "realpath", replaced)
    with pytest.raises(FileRefused, match="symbolic link"):
        read_file(project / "a/b.txt", project)


def test_a_pipe_is_refused_at_once(project: Path) -> None:
    os.mkfifo(project / "pipe")
    with pytest.raises(FileRefused, match="not a regular file"):
        open_file(project / "pipe", project)


@pytest.mark.parametrize("kind", ["folder", "socket"])
def test_what_is_no_file_is_refused(project: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)  # the path of a socket has a limited length
    if kind == "folder":
        (project / "x").mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("x")
    with pytest.raises(FileRefused, match="not a regular file"):
        open_file(project / "x", project)


def test_a_device_behind_a_link_is_outside(project: Path) -> None:
    (project / "zero").symlink_to("/dev/zero")
    with pytest.raises(FileRefused, match="is outside of"):
        read_file(project / "zero", project)


def test_a_file_has_a_size(project: Path) -> None:
    assert read_file(project / "a/b.txt", project, largest=6) == b"inside"
    with pytest.raises(FileRefused, match="larger than 5 bytes"):
        read_file(project / "a/b.txt", project, largest=5)


def test_files_below_a_folder(project: Path) -> None:
    os.mkfifo(project / "a/pipe")
    (project / "a/again").symlink_to("b.txt")
    assert [path.name for path in files_below(project / "a", project)] == ["again", "b.txt"]


@pytest.mark.parametrize("target", ["../../secret", "../..", "/dev/zero"])
def test_a_link_out_of_the_project_is_no_file_to_copy(project: Path, target: str) -> None:
    (project / "a/out").symlink_to(target)
    with pytest.raises(FileRefused, match="leads outside of"):
        list(files_below(project / "a", project))
