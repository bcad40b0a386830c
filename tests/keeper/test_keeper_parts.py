from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envctl.keeper import process_marks, spawn, system
from envctl.keeper.routing import timestamp
from envctl.keeper.spawn import Limits
from envctl.keeper.supervisor import Log
from tests.keeper.keepers import alive, orphans, until

TABLE_OF_MACOS = """
    1     0     1 Ss
  100     1   100 Ss
  101   100   100 S+
  102     1   102 Z
"""
ENVIRONMENTS_OF_MACOS = """
    1 /sbin/launchd
  100 /usr/local/bin/postgres -D /data HOME=/Users/me ENVCTL_MARK=shop:1 ENVCTL_PROCESS=db PATH=/bin
  101 sh -c echo XENVCTL_MARK=no ENVCTL_MARK=shop:2
  102 (gone) ENVCTL_MARK=shop:1
"""


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "LINUX", False)
    monkeypatch.setattr(system, "_ps", lambda *arguments: ENVIRONMENTS_OF_MACOS if "-E" in arguments else TABLE_OF_MACOS)


@pytest.mark.usefixtures("macos")
def test_elsewhere_ps_is_asked() -> None:
    found = system.processes()
    assert {pid: (seen.parent, seen.group, seen.zombie) for pid, seen in found.items()} == {
        1: (0, 1, False),
        100: (1, 100, False),
        101: (100, 100, False),
        102: (1, 102, True),
    }
    assert system.variables([process_marks.MARK, process_marks.PROCESS]) == {
        100: {process_marks.MARK: "shop:1", process_marks.PROCESS: "db"},
        101: {process_marks.MARK: "shop:2"},
        102: {process_marks.MARK: "shop:1"},
    }
    assert system.variables([process_marks.MARK], [101]) == {101: {process_marks.MARK: "shop:2"}}
    assert process_marks.marked("shop:") == {100: "shop:1", 101: "shop:2"}
    assert orphans("shop:1") == [100]


@pytest.mark.usefixtures("macos")
def test_elsewhere_there_is_no_subreaper() -> None:
    assert system.become_subreaper() is False
    system.die_with_parent()  # must do nothing and raise nothing
    assert system.descendants(1, system.processes()) == {100, 101, 102}


def test_the_real_ps_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    by_proc = system.processes()[os.getpid()]
    monkeypatch.setattr(system, "LINUX", False)
    by_ps = system.processes()[os.getpid()]
    assert (by_ps.parent, by_ps.group, by_ps.zombie) == (by_proc.parent, by_proc.group, False)
    assert 0.5 < system.memory_kb() / (until(lambda: memory_by_proc(os.getpid()))) < 2


def memory_by_proc(pid: int) -> int:
    from tests.keeper.keepers import memory_kb

    return memory_kb(pid)


def test_the_table_knows_zombies_and_strange_names(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 1 1"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "100"], start_new_session=True) as process:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "a) Z 1 1 1\n")
        seen = system.processes()[process.pid]
        assert (seen.parent, seen.group, seen.session, seen.zombie) == (os.getpid(), process.pid, process.pid, False)
        process.kill()
        until(lambda: system.processes()[process.pid].zombie)


def test_a_mark_is_found_by_its_beginning_and_killed_by_the_whole() -> None:
    environment = {"PATH": os.environ["PATH"]}
    mark = f"parts:{os.getpid()}"
    with (
        subprocess.Popen(["sh", "-c", "env -i sleep 100 & wait"], env=environment | {process_marks.MARK: f"{mark}:a"}) as first,
        subprocess.Popen(["sleep", "100"], env=environment | {process_marks.MARK: f"{mark}:ab"}) as second,
    ):
        until(lambda: {first.pid, second.pid} <= set(process_marks.marked(mark)))
        below = until(lambda: system.descendants(first.pid, system.processes()))
        assert {first.pid, second.pid} <= set(orphans(mark))
        killed = process_marks.kill_marked(f"{mark}:a")
        assert {first.pid, *below} <= set(killed)
        assert not any(map(alive, [first.pid, *below]))
        assert second.poll() is None
        second.kill()


def test_whoever_kills_by_mark_is_spared(tmp_path: Path) -> None:
    mark = f"spared:{os.getpid()}"
    program = f"""
import sys; sys.path.insert(0, {str(Path(process_marks.__file__).parents[2])!r})
import subprocess
from envctl.keeper import process_marks
child = subprocess.Popen(["sleep", "100"])
print(process_marks.kill_marked({mark!r}) == [child.pid], child.wait())
"""
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -c \"$1\"; echo still", "sh", program],
        env=dict(os.environ) | {process_marks.MARK: mark}, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    assert done.stdout == "True -9\nstill\n", done.stderr


def test_a_log_keeps_one_older_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), limit=10)
    for line in (b"12345\n", b"678\n", b"abcdef\n", b"ghij\n", b"a line longer than the limit\n", b"last\n"):
        log.write(line)
    log.close()
    assert path.read_bytes() == b"last\n"
    assert (tmp_path / "log.1").read_bytes() == b"a line longer than the limit\n"
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]


def test_a_log_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        log = Log(str(path), limit=10)
        log.write(b"123456\n")
        log.close()
    assert (path.read_bytes(), (tmp_path / "log.1").read_bytes()) == (b"123456\n", b"123456\n")


def test_a_log_without_its_folder_does_not_grow(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = Log(str(folder / "log"), limit=10)
    shutil.rmtree(folder)
    for _ in range(5):
        log.write(b"123456\n")
    assert os.fstat(log.descriptor).st_size == 7
    log.close()


def test_a_log_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Log(str(tmp_path / "log"))


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that replaces the cgroup file system, with a cgroup for this process in it."""
    parent = tmp_path / "user.slice"
    (parent / "own.scope").mkdir(parents=True)
    (parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (parent / "cgroup.procs").touch()
    monkeypatch.setattr(spawn, "_parent_group", lambda root: str(parent))
    make = os.mkdir

    def make_group(path: str) -> None:
        make(path)
        for name in ("memory.max", "cpu.max", "cgroup.procs"):
            Path(path, name).touch()

    monkeypatch.setattr(os, "mkdir", make_group)
    return parent


def test_limits_are_a_group_where_one_can_be_made(groups: Path) -> None:
    found = Limits("db", 1000, 0.5)
    assert found.enforced == {"memory_bytes": "cgroup", "cpu": "cgroup"}
    group = Path(found.group or "")
    assert group.parent == groups
    assert ((group / "memory.max").read_text(), (group / "cpu.max").read_text()) == ("1000", "50000 100000")
    found.enter()
    assert (group / "cgroup.procs").read_text() == "0"


def test_limits_of_the_process_where_controllers_are_missing(groups: Path) -> None:
    (groups / "cgroup.subtree_control").write_text("pids\n")
    assert Limits("db", 1000, 0.5).enforced == {"memory_bytes": "rlimit", "cpu": None}
    assert Limits("db").enforced == {"memory_bytes": None, "cpu": None}
    assert sorted(path.name for path in groups.iterdir() if path.is_dir()) == ["own.scope"]


@pytest.mark.parametrize(
    ("own", "parent"),
    [
        ("0::/user.slice/own.scope\n", "user.slice"),
        ("5:memory:/x\n0::/user.slice/own.scope\n", "user.slice"),
        ("0::/\n", None),
        ("0::/../own.scope\n", None),
        ("4:memory:/user.slice/own.scope\n", None),
    ],
)
def test_which_group_new_ones_are_made_in(tmp_path: Path, own: str, parent: str | None) -> None:
    (tmp_path / "user.slice").mkdir()
    (tmp_path / "user.slice/cgroup.procs").touch()
    (tmp_path / "own").write_text(own)
    found = spawn._parent_group(str(tmp_path), str(tmp_path / "own"))
    assert found == (str(tmp_path / parent) if parent else None)


@pytest.mark.parametrize("stamp", ["1970-01-02T00:00:00Z", "1970-01-02T01:00:00+01:00"])
def test_stamps(stamp: str) -> None:
    assert timestamp(stamp) == 86400


def test_only_the_standard_library_is_needed_and_the_folder_hides_nothing() -> None:
    import envctl.keeper

    folder = Path(envctl.keeper.__file__).parent
    names = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    assert names & set(sys.stdlib_module_names) == set()
    program = """
import runpy, sys
sys.argv = ["keeper", "/no/such/config"]
import os
def show(status):
    print(sorted({name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"__main__"}), os.environ["FOLDER"] in sys.path)
os._exit = show
sys.path.insert(0, os.environ["FOLDER"])
runpy.run_path(os.environ["FOLDER"], run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], env=dict(os.environ) | {"FOLDER": str(folder)},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "['envctl'] False", done.stderr


def test_who_is_spared_lives_on(tmp_path: Path) -> None:
    mark = f"spared:{os.getpid()}"
    marked = {**os.environ, process_marks.MARK: mark}
    with subprocess.Popen(["sleep", "100"], env=marked) as keeper, subprocess.Popen(["sleep", "100"], env=marked) as other:
        until(lambda: {keeper.pid, other.pid} <= process_marks.marked(mark).keys())
        assert process_marks.kill_marked(mark, spared=[keeper.pid]) == [other.pid]
        assert keeper.poll() is None
        keeper.kill()


def test_who_has_wiped_its_environment_is_known_by_its_folder(tmp_path: Path) -> None:
    """PostgreSQL's processes overwrite their environment; a user's shell in the same folder must survive."""
    below = tmp_path / "db/data"
    below.mkdir(parents=True)
    mark, beside = f"folder:{os.getpid()}", tmp_path.with_name(f"{tmp_path.name}-beside")
    beside.mkdir()
    with (
        subprocess.Popen(["sleep", "100"], env={}, cwd=below) as hidden,
        subprocess.Popen(["sleep", "100"], env={"A": "1"}, cwd=below) as shell,
        subprocess.Popen(["sleep", "100"], env={}, cwd=beside) as other,
    ):
        until(lambda: {path.read_text() for path in map(comm, (hidden, shell, other))} == {"sleep\n"})
        assert process_marks.kill_marked(mark) == []
        assert process_marks.kill_marked(mark, folder=str(tmp_path)) == [hidden.pid]
        assert (shell.poll(), other.poll()) == (None, None)
        shell.kill()
        other.kill()


def comm(process: subprocess.Popen[bytes]) -> Path:
    return Path(f"/proc/{process.pid}/comm")
