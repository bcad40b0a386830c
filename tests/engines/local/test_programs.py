"""Which installed program runs a server, and the copy of the program that other users can execute."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from pathlib import Path

import pytest

from envctl.definition.kinds import Program
from envctl.engines.local import programs
from envctl.engines.local.programs import InstalledProgram, find_program, for_everybody
from envctl.plan.model import LocalProgram


def program(path: Path, script: str = "echo server 1.2", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


def versions(folder: Path, *found: str) -> LocalProgram:
    """Return a kind that has one program for each version."""
    return LocalProgram(programs=[Program(path=str(program(folder / each / "bin/server", f"echo server {each}"))) for each in found])


def version_of(local: LocalProgram, wanted: str = "") -> str:
    found = find_program(local, wanted, os.environ["PATH"])
    assert found is not None
    return found.version


# Choosing a version


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        ("17", ["16.2", "17.1", "18.0"], "17.1"),
        ("17.4", ["16.2", "17.1", "17.4"], "17.1"),
        ("17", ["19.1", "16.2", "18.0"], "18.0"),
        ("17", ["14.1", "16.2"], "16.2"),
        ("9", ["10.1", "8.4"], "10.1"),
        ("", ["16.2", "17.1"], "16.2"),
    ],
    ids=["the same major", "the first of them", "else the next later", "else the latest earlier", "as numbers", "no wish"],
)
def test_the_version(tmp_path: Path, wanted: str, there: list[str], chosen: str) -> None:
    assert version_of(versions(tmp_path, *there), wanted) == chosen


def test_a_version_that_is_known_is_not_asked_for(tmp_path: Path) -> None:
    path = program(tmp_path / "server", f"touch {tmp_path}/asked; echo server 1.2")
    assert version_of(LocalProgram(programs=[Program(path=str(path), version="16")])) == "16"
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'postgres (PostgreSQL) 17.5 (Debian 17.5-1)'", "17.5"),
        ("echo nginx/1.26.0 >&2", "1.26.0"),
        ("echo v=8.1.3 sha=0000", "8.1.3"),
        ("echo no number", ""),
        ("exit 3", ""),
    ],
)
def test_what_a_program_says_of_itself(tmp_path: Path, script: str, version: str) -> None:
    assert version_of(LocalProgram(programs=[Program(path=str(program(tmp_path / "server", script)))])) == version


def test_it_is_asked_in_its_own_words(tmp_path: Path) -> None:
    path = program(tmp_path / "server", 'test "$*" = "-V now" && echo 3.1')
    assert version_of(LocalProgram(programs=[Program(path=str(path))], version_of=["-V", "now"])) == "3.1"


def test_one_that_does_not_say_its_version_is_taken_as_it_is(tmp_path: Path) -> None:
    silent = Program(path=str(program(tmp_path / "silent", "true")))
    local = versions(tmp_path, "16.1")
    assert version_of(LocalProgram(programs=[silent, *local.programs]), "17") == ""


def test_one_that_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    path = program(tmp_path / "server")
    path.write_text("#!/no/such/shell\n")
    assert version_of(LocalProgram(programs=[Program(path=str(path))])) == ""


# Searching for a program


def found_at(*where: Program) -> Path | None:
    found = find_program(LocalProgram(programs=list(where)), "", os.environ["PATH"])
    return found.path if found else None


def test_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "bin/server-of-a-test")
    assert found_at(Program(path="server-of-a-test")) is None
    monkeypatch.setenv("PATH", str(path.parent))
    assert found_at(Program(path="server-of-a-test")) == path


def test_by_a_pattern(tmp_path: Path) -> None:
    paths = [program(tmp_path / version / "bin/server") for version in ("16", "17")]
    assert found_at(Program(path=f"{tmp_path}/*/bin/server")) == paths[1]


def test_this_python_where_it_has_the_module() -> None:
    program = LocalProgram(programs=[Program(module="json.tool", version="1")])
    assert find_program(program, "1", os.environ["PATH"]) == InstalledProgram(Path(sys.executable), "1", True)
    assert found_at(Program(module="no_such.module")) is None
    assert found_at(Program(module="no_such_module")) is None


def test_a_module_is_not_asked_for_its_version() -> None:
    local = LocalProgram(programs=[Program(module="json.tool", arguments=["-m", "x"], loss="less")])
    assert find_program(local, "16", None) == InstalledProgram(Path(sys.executable), "", True, arguments=("-m", "x"), loss="less")


def test_in_a_python_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "package_of_a_test/bin/server")
    (tmp_path / "package_of_a_test/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert found_at(Program(package="package_of_a_test", folder="bin/server")) == path
    assert found_at(Program(package="package_of_a_test", folder="bin/other")) is None
    assert found_at(Program(package="no_such_package", folder="bin/server")) is None


def test_beside_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "server")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: {"scripts": str(tmp_path)}[name])
    assert found_at(Program(script="server")) == path


def test_what_is_no_program_is_passed_over(tmp_path: Path) -> None:
    folder, text = tmp_path / "folder", program(tmp_path / "text", mode=0o644)
    folder.mkdir()
    path = program(tmp_path / "server")
    assert found_at(*(Program(path=str(each)) for each in (folder, text, tmp_path / "nothing", path))) == path


# Copies that every user can execute


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend to be root; return the folder for copies, which lies below a folder that is closed to other users."""
    monkeypatch.setattr(programs, "is_root", lambda: True)
    tmp_path.chmod(0o700)
    return tmp_path / "copies" / "programs"


def installed(folder: Path) -> InstalledProgram:
    path = program(folder / "pginstall/bin/server", mode=0o700)
    (folder / "pginstall/lib").mkdir(mode=0o700)
    (folder / "pginstall/lib/libthing.so.1").write_text("code")
    (folder / "pginstall/lib/libthing.so").symlink_to("libthing.so.1")
    return InstalledProgram(path, "16", package=True)


def test_a_closed_installation_is_copied_as_a_whole(as_root: Path, tmp_path: Path) -> None:
    found = installed(tmp_path)
    copy = for_everybody(found, as_root.parent)
    assert copy.path.read_text() == found.path.read_text()
    assert (copy.path.is_relative_to(as_root), copy.version) == (True, "16")
    prefix = copy.folder.parent
    assert os.readlink(prefix / "lib/libthing.so") == "libthing.so.1"
    modes = [stat.S_IMODE((prefix / each).stat().st_mode) & 0o055 for each in ("", "bin", "bin/server", "lib", "lib/libthing.so.1")]
    assert modes == [0o055, 0o055, 0o055, 0o055, 0o044]


def test_libraries_beside_the_package_come_along(as_root: Path, tmp_path: Path) -> None:
    """The programs of the package load their libraries from the folder beside it."""
    site = tmp_path / "site-packages"
    found = installed(site / "server")
    (site / "server.libs").mkdir()
    (site / "server.libs/libthing.so.2").touch()
    copy = for_everybody(found, as_root.parent).folder
    assert (copy / "../../../server.libs/libthing.so.2").exists()


def test_it_is_copied_once(as_root: Path, tmp_path: Path) -> None:
    found = installed(tmp_path)
    first = for_everybody(found, as_root.parent)
    (first.folder / "ours").touch()
    assert for_everybody(found, as_root.parent) == first
    assert (first.folder / "ours").exists()
    assert len(list(as_root.glob("*/"))) == 1


def test_another_installation_is_another_copy(as_root: Path, tmp_path: Path) -> None:
    found = installed(tmp_path)
    first = for_everybody(found, as_root.parent)
    os.utime(tmp_path / "pginstall", (1, 1))
    assert for_everybody(found, as_root.parent) != first


def test_a_copy_that_was_not_finished_counts_for_nothing(as_root: Path, tmp_path: Path) -> None:
    found = installed(tmp_path)
    for_everybody(found, as_root.parent)
    (whole,) = as_root.glob("*/")
    dead = whole.rename(whole.with_name(f".{whole.name}.999999999"))
    assert for_everybody(found, as_root.parent).path.exists()
    assert not dead.exists()


def test_what_everybody_can_reach_is_taken_where_it_is(as_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = InstalledProgram(Path("/bin/sh"), "1")
    assert for_everybody(found, as_root.parent) is found


def test_without_root_nothing_is_copied(as_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_root", lambda: False)
    found = installed(tmp_path)
    assert for_everybody(found, as_root.parent) is found
