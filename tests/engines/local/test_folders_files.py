"""The files of a service, in its folder."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.engines.local.folders import is_root, write_files
from envctl.plan.model import File, ServicePlan
from tests.builders import service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def having(**files: File) -> ServicePlan:
    """Return a service with the given files; `_` in a name stands for `/`."""
    return service("db", files={f"/{name.replace('_', '/')}": file for name, file in files.items()})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_texts_are_written_byte_for_byte(root: Path) -> None:
    write_files(root, having(etc_thing=File("a\r\nZoë\n")), None)
    assert (root / "etc/thing").read_bytes() == "a\r\nZoë\n".encode()


def test_a_file_of_the_project_is_copied(root: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"\0\xff")
    write_files(root, having(data=File(source=tmp_path / "source", root=tmp_path)), None)
    assert (root / "data").read_bytes() == b"\0\xff"


def test_nobody_else_reads_them(root: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    write_files(root, having(etc_more_thing=File("x"), bin_run=File(source=program, root=program.parent)), None)
    assert [mode(root / each) for each in ("etc/more", "etc/more/thing", "bin/run")] == [0o700, 0o600, 0o700]


def test_what_was_there_is_replaced(root: Path) -> None:
    write_files(root, having(thing=File("old and long")), None)
    write_files(root, having(thing=File("new")), None)
    assert (root / "thing").read_text() == "new"


def test_a_link_is_replaced_and_not_followed(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (root / "thing").symlink_to(other)
    write_files(root, having(thing=File("new")), None)
    assert (other.read_text(), (root / "thing").is_symlink()) == ("mine", False)


def test_folders_of_the_kind_are_there_though_nothing_is_in_them(root: Path) -> None:
    write_files(root, replace(having(), mounts=("/mappings",), writable=("/var/lib/db",)), None)
    assert (root / "mappings").is_dir()
    assert (root / "var/lib/db").is_dir()


@pytest.mark.skipif(not is_root(), reason="only root can give files away")
def test_the_user_of_the_server_owns_them(root: Path) -> None:
    write_files(root, replace(having(etc_more_thing=File("x")), writable=("/var/db",)), 65534)
    owners = {each: os.stat(root / each).st_uid for each in ("etc", "etc/more", "etc/more/thing", "var", "var/db")}
    assert set(owners.values()) == {65534}
