from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.instance.folder import state_home, usable, write_private
from envctl.instance.lock import lock, sweep
from envctl.instance.store import RecordStore
from tests.builders import record_of


def test_state_is_at_home_where_nothing_else_is_said() -> None:
    home = {"HOME": "/home/me"}
    assert state_home(home) == state_home({**home, "XDG_STATE_HOME": ""}) == Path("/home/me/.local/state/envctl")
    assert state_home({**home, "XDG_STATE_HOME": "relative"}) == Path("/home/me/.local/state/envctl")
    assert state_home({"XDG_STATE_HOME": "/state"}) == Path("/state/envctl")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_a_home_that_is_none_is_asked_for_by_name(environ: dict[str, str]) -> None:
    assert state_home(environ) == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/envctl"


def test_a_place_where_no_folder_can_be_made_is_said_so() -> None:
    with pytest.raises(UsageError, match="no state can be kept in /proc/envctl"):
        RecordStore(Path("/proc/envctl")).create(record_of())


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    path.chmod(0o644)
    write_private(path, "ü")
    assert path.read_text("utf-8") == "ü"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_state_is_to_be_is_said_so(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    store = RecordStore(tmp_path / "file" / below / "envctl")
    for work in (lambda: store.create(record_of()), lambda: lock(store.folder("t-123456")).__enter__()):
        with pytest.raises(UsageError, match=r"no state can be kept in .*file") as caught:
            work()
        assert "XDG_STATE_HOME" in caught.value.hint
    assert store.all() == []
    assert store.unreadable() == []
    sweep(store.home)


@pytest.mark.parametrize("closed", ["", "envctl", "envctl/t-123456"])
def test_a_state_folder_that_cannot_be_written_is_said_so(tmp_path: Path, store: RecordStore, unprivileged: None, closed: str) -> None:
    (tmp_path / closed).mkdir(parents=True, exist_ok=True)
    (tmp_path / closed).chmod(0o555)
    for work in (lambda: store.create(record_of()), lambda: lock(store.folder("t-123456")).__enter__()):
        with pytest.raises(UsageError, match="Permission denied"):
            work()
    (tmp_path / closed).chmod(0o755)


def test_a_full_disk_is_another_matter() -> None:
    with pytest.raises(OSError, match="No space left"), usable(Path("/x")):
        raise OSError(28, os.strerror(28), "/x")
