"""Where the files of local processes are, for root and for other users."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from envctl.engines.local import folders


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "is_root", lambda: True)


@pytest.fixture
def nobody_special(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "is_root", lambda: False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_services_of_root_are_where_a_server_can_reach_them(root: None) -> None:
    assert folders.services_folder("t-123456", Path("/home")) == folders.ROOTS_STATE / "t-123456"
    assert folders.cache_folder(os.environ) == folders.ROOTS_CACHE


def test_services_of_others_are_in_their_state(nobody_special: None, home: Path) -> None:
    assert folders.services_folder("t-123456", home / "state/envctl") == home / "state/envctl/t-123456/local"
    assert folders.cache_folder(os.environ) == home / "cache/envctl"


def test_the_cache_without_a_word_about_it(nobody_special: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert folders.cache_folder(os.environ) == Path("/home/me/.cache/envctl")


def test_others_pass_through_roots_folder_and_do_not_list_it(root: None, home: Path) -> None:
    folder = folders.make_services_folder("t-123456", Path("/home"))
    assert (mode(folder), mode(folder.parent)) == (0o711, 0o711)


def test_a_mask_does_not_close_roots_folder(root: None, home: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = folders.make_services_folder("t-123456", Path("/home"))
    finally:
        os.umask(before)
    assert (mode(folder), mode(folder.parent)) == (0o711, 0o711)


def test_the_folder_of_others_is_closed(nobody_special: None, home: Path) -> None:
    home.joinpath("state/envctl/t-123456").mkdir(mode=0o700, parents=True)
    folder = folders.make_services_folder("t-123456", home / "state/envctl")
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert folders.make_services_folder("t-123456", home / "state/envctl") == folder


def test_servers_that_refuse_root_run_as_nobody(root: None) -> None:
    assert folders.unprivileged() == pwd.getpwnam("nobody").pw_uid


def test_where_there_is_no_nobody(root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    assert folders.unprivileged() == 65534


def test_without_root_servers_run_as_ourselves(nobody_special: None) -> None:
    assert folders.unprivileged() is None


# Programs that every user can execute


@pytest.mark.parametrize(
    ("folder", "file", "can"),
    [(0o755, 0o755, True), (0o711, 0o755, True), (0o700, 0o755, False), (0o755, 0o700, False), (0o755, 0o711, False)],
)
def test_who_can_reach_a_program(monkeypatch: pytest.MonkeyPatch, folder: int, file: int, can: bool) -> None:
    modes = {Path("/x/bin/server"): file, Path("/x/bin"): folder, Path("/x"): 0o755, Path("/"): 0o755}
    monkeypatch.setattr(Path, "stat", lambda path: os.stat_result((modes[path], *range(9))))
    assert folders.reachable(Path("/x/bin/server")) is can


def parts(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    with folders.made_whole(tmp_path / "thing") as new:
        (new / "file").write_text("whole")
        assert not (tmp_path / "thing").exists()
    assert (tmp_path / "thing/file").read_text() == "whole"
    assert parts(tmp_path) == {"thing"}


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folders.made_whole(tmp_path / "thing"):
        raise KeyError
    assert parts(tmp_path) == set()


def test_the_first_one_stays(tmp_path: Path) -> None:
    with folders.made_whole(tmp_path / "thing") as slow:
        (slow / "file").write_text("slow")
        with folders.made_whole(tmp_path / "thing") as quick:
            (quick / "file").write_text("quick")
    assert (tmp_path / "thing/file").read_text() == "quick"
    assert parts(tmp_path) == {"thing"}


def test_what_the_dead_have_not_finished_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".thing.left/data").mkdir(parents=True)
    (tmp_path / ".other.left").mkdir()
    with folders.made_whole(tmp_path / "thing") as new:
        assert parts(tmp_path) == {new.name, ".other.left"}


MAKE = """
import sys
from pathlib import Path
from envctl.engines.local.folders import made_whole
with made_whole(Path(sys.argv[1])) as new:
    print(new, flush=True)
    sys.stdin.read()
"""


def test_what_another_process_makes_stays_until_it_ends(tmp_path: Path) -> None:
    """The other process's id in the name does not count: it may be the id of a process in another container."""
    thing = tmp_path / "thing"
    with subprocess.Popen([sys.executable, "-c", MAKE, thing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        assert not folders.remove_unless_held(theirs)
        with folders.made_whole(thing) as new:
            assert parts(tmp_path) == {theirs.name, new.name}
        other.kill()
    assert folders.remove_unless_held(theirs)
    assert parts(tmp_path) == {"thing"}


def test_many_may_hold_one(tmp_path: Path) -> None:
    with folders.held(tmp_path), folders.held(tmp_path):
        assert not folders.remove_unless_held(tmp_path)
