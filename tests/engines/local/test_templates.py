"""Data directories that are filled once and then copied."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envctl.engines.local import folders, templates
from envctl.engines.local.folders import cache_folder, is_root
from envctl.engines.local.programs import InstalledProgram
from envctl.engines.local.templates import Template, fill, make_spare
from envctl.errors import ServiceFailed
from tests.processes import until

SH = InstalledProgram(Path("/bin/sh"), "1.0")


def making(folder: Path, script: str = "echo data > file") -> list[str]:
    """Return a command that fills a data directory and adds a line to the file `times` at each run."""
    return ["sh", "-c", f"echo >> {folder}/times; {script}"]


def template(service: str, found: InstalledProgram, command: Sequence[str], user: int | None) -> Template:
    """Return the template from the test's own cache folder."""
    return templates.template(cache_folder(os.environ), service, found, command, user)


def times(folder: Path) -> int:
    return len((folder / "times").read_text())


def kept() -> list[str]:
    return sorted(path.name for path in (cache_folder(os.environ) / "templates").glob("*/"))


# Making a template


def test_it_is_made_once(tmp_path: Path) -> None:
    first = template("db", SH, making(tmp_path), None)
    assert (first.data / "file").read_text() == "data\n"
    assert template("db", SH, making(tmp_path), None) == first
    assert times(tmp_path) == 1


def test_another_program_or_command_makes_another_one(tmp_path: Path) -> None:
    made = {
        template("db", SH, making(tmp_path), None).data,
        template("db", SH, making(tmp_path, "true"), None).data,
        template("db", InstalledProgram(Path("/bin/cp"), "1.0"), making(tmp_path), None).data,
    }
    assert (len(made), times(tmp_path)) == (3, 3)


def test_whoever_fills_it_is_given_a_secret(tmp_path: Path) -> None:
    made = template("db", SH, making(tmp_path, "cp ../secret file"), None)
    assert (made.data / "file").read_text() == made.secret
    assert len(made.secret) >= 24
    assert stat.S_IMODE((made.data.parent / "secret").stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (made.data, made.data.parent)} == {0o700}
    assert made.secret != template("db", SH, making(tmp_path, "true"), None).secret


def test_a_command_that_fails_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="db: sh ended with 3") as caught:
        template("db", SH, making(tmp_path, "echo out; echo no room >&2; exit 3"), None)
    assert caught.value.evidence is not None
    assert caught.value.evidence.logs == ("out", "no room")
    assert kept() == []


def test_a_user_without_a_name_is_told_how_to_get_one(tmp_path: Path) -> None:
    words = f"initdb: error: could not look up effective user ID {os.geteuid()}: user does not exist"
    with pytest.raises(ServiceFailed) as caught:
        template("db", SH, making(tmp_path, f"echo '{words}' >&2; exit 1"), None)
    assert caught.value.evidence is not None
    assert f"the user id {os.geteuid()} has no name here" in caught.value.evidence.advice
    assert "/etc/passwd" in caught.value.evidence.advice


def test_what_was_not_finished_is_made_again(tmp_path: Path) -> None:
    made = template("db", SH, making(tmp_path), None).data.parent
    dead = made.rename(made.with_name(f".{made.name}.999999999"))
    assert (template("db", SH, making(tmp_path), None).data / "file").exists()
    assert not dead.exists()


MAKE = """
import sys
from pathlib import Path
from envctl.engines.local.programs import InstalledProgram
from envctl.engines.local.templates import template
made = template(Path(sys.argv[1]), "db", InstalledProgram(Path("/bin/sh"), "1.0"), sys.argv[2:], None)
print(made.secret, (made.data / "file").read_text().strip())
"""


def test_two_at_the_same_time_have_the_same_one(tmp_path: Path) -> None:
    """Each process waits in its command until the other process has started its command too."""
    meet = f"echo data > file; touch {tmp_path}/$$; until [ $(ls {tmp_path}/[0-9]* | wc -l) = 2 ]; do sleep 0.01; done"
    line = [sys.executable, "-c", MAKE, str(cache_folder(os.environ)), *making(tmp_path, meet)]
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(told) == 1
    assert told.pop().endswith(" data\n")
    assert len(kept()) == 1
    assert times(tmp_path) == 2


@pytest.mark.skipif(not is_root(), reason="only root can give files away")
def test_as_root_another_user_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setattr(folders, "ROOTS_CACHE", Path(folder, "cache"))
        made = template("db", SH, ["sh", "-c", "id -u > file; id -G >> file; cat ../secret > mine"], 65534)
        assert (made.data / "file").read_text().split() == ["65534", "65534"]
        assert (made.data / "file").stat().st_uid == 65534
        assert (made.data / "mine").read_text() == made.secret


def test_prune_leaves_what_is_being_made(tmp_path: Path) -> None:
    """The command that fills the template waits until the pruning, which runs in another process, is over."""
    done = tmp_path / "pruned"
    command = making(tmp_path, f"touch {tmp_path}/begun; until [ -e {done} ]; do sleep 0.01; done; echo data > file")
    with ThreadPoolExecutor() as pool:
        made = pool.submit(template, "db", SH, command, None)
        until((tmp_path / "begun").exists)
        removed = templates.prune(cache_folder(os.environ), everything=True)
        done.touch()
        assert (made.result().data / "file").read_text() == "data\n"
    assert removed == []
    assert templates.prune(cache_folder(os.environ), everything=True) == [str(made.result().data.parent)]
    assert kept() == []


def test_what_is_being_pruned_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller never gets a template that is partly removed."""
    first = template("db", SH, making(tmp_path), None)
    found: list[Template] = []
    remove = shutil.rmtree

    def removing(path: Path, ignore_errors: bool = False) -> None:
        (path / "secret").unlink(missing_ok=True)
        if not found:
            found.append(first)
            found[0] = template("db", SH, making(tmp_path), None)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", removing)
    assert folders.remove_unless_held(first.data.parent) is False, "another one is in its place"
    assert (found[0].data / "file").read_text() == "data\n"
    assert times(tmp_path) == 2


def test_prune_removes_what_the_dead_have_not_finished(tmp_path: Path) -> None:
    made = template("db", SH, making(tmp_path), None).data.parent
    left = made.with_name(f".{made.name}.left")
    left.mkdir()
    assert templates.prune(cache_folder(os.environ), everything=False) == [str(left)]
    assert kept() == [made.name]


# Copying a template


@pytest.fixture
def filled(tmp_path: Path) -> Template:
    return template("db", SH, making(tmp_path, "echo data > file; chmod 600 file; mkdir -m 700 sub; echo more > sub/file"), None)


def spares(made: Template) -> list[Path]:
    return sorted(made.data.parent.glob("spare-*"))


def test_a_copy_is_whole_and_its_own(filled: Template, tmp_path: Path) -> None:
    fill(filled, tmp_path / "mine")
    assert (tmp_path / "mine/sub/file").read_text() == "more\n"
    assert stat.S_IMODE((tmp_path / "mine/file").stat().st_mode) == 0o600
    (tmp_path / "mine/file").write_text("changed")
    assert (filled.data / "file").read_text() == "data\n"


def test_where_cp_does_not_know_how_to_share_blocks(filled: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "COPY", ["-Rp", "--no-such-option"])
    fill(filled, tmp_path / "mine")
    assert (tmp_path / "mine/file").read_text() == "data\n"


def test_a_spare_is_taken_once(filled: Template, tmp_path: Path) -> None:
    make_spare(filled)
    [spare] = until(lambda: spares(filled))
    number = spare.stat().st_ino
    fill(filled, tmp_path / "first")
    assert (tmp_path / "first").stat().st_ino == number
    assert spares(filled) == []
    fill(filled, tmp_path / "second")
    assert (tmp_path / "second/sub/file").read_text() == "more\n"


def test_many_at_the_same_time_and_one_spare(filled: Template, tmp_path: Path) -> None:
    make_spare(filled)
    [spare] = until(lambda: spares(filled))
    number = spare.stat().st_ino
    targets = [tmp_path / str(each) for each in range(6)]
    threads = [threading.Thread(target=fill, args=(filled, target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(target / "sub/file").read_text() for target in targets] == ["more\n"] * 6
    assert sum(target.stat().st_ino == number for target in targets) == 1


def test_one_spare_is_enough(filled: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    make_spare(filled)
    until(lambda: spares(filled))
    monkeypatch.setattr(subprocess, "Popen", None)
    make_spare(filled)
    assert len(spares(filled)) == 1


def reaped() -> None:
    """Wait until the background processes that the test started have ended."""
    for thread in threading.enumerate():
        if thread.name == "reaper":
            thread.join(10)


def test_a_spare_that_cannot_be_made_leaves_nothing(filled: Template) -> None:
    gone = Template(filled.data.with_name("gone"), "")
    before = set(filled.data.parent.iterdir())
    make_spare(gone)
    reaped()
    assert set(filled.data.parent.iterdir()) == before


def test_who_makes_spares_belongs_to_no_instance(filled: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the instance's keeper would kill the process that makes the spare copy."""
    monkeypatch.setenv("ENVCTL_MARK", "t-123456")
    seen = tmp_path / "seen"
    monkeypatch.setattr(templates, "COPY", [f"--target-directory={tmp_path}/nowhere"])
    monkeypatch.setattr(templates, "SYSTEM_PATH", f"{tmp_path}/bin:{os.defpath}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cp").write_text(f"#!/bin/sh\nenv > {seen}\n")
    (tmp_path / "bin/cp").chmod(0o755)
    make_spare(filled)
    reaped()
    assert "ENVCTL" not in seen.read_text()
