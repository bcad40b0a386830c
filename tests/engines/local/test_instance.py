"""Existing processes: their states, their logs, and commands that run beside them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from envctl.engines import ServiceState
from envctl.engines.local.instance import LocalInstance, Spec, run
from envctl.engines.logs import text
from envctl.errors import EnvctlError
from envctl.keeper.process_marks import MARK
from envctl.session import Session
from tests.processes import until

from .conftest import ID, Made, shell

SLEEPS = "echo started; exec sleep 600"


@pytest.fixture
def one(session: Session) -> LocalInstance:
    """Return an instance with one service and no keeper, whose logs the test writes."""
    (session.store.home / ID / "logs").mkdir(parents=True)
    return LocalInstance(session.host, ID)


def spec(folder: Path, **env: str) -> Spec:
    return Spec(("true",), {"PATH": os.environ["PATH"], **env}, str(folder))


# Logs


def write(instance: LocalInstance, text: str, service: str = "a") -> None:
    with instance.log_file(service).open("a") as stream:
        stream.write(text)


def rotate(instance: LocalInstance) -> None:
    path = instance.log_file("a")
    path.rename(path.with_name(path.name + ".1"))


def test_logs_begin_in_the_older_file(one: LocalInstance) -> None:
    assert text(one.logs("a")) == ""
    write(one, "1\n2\n")
    rotate(one)
    write(one, "3\n4")
    assert text(one.logs("a")) == "1\n2\n3\n4"
    assert [text(one.logs("a", tail)) for tail in (0, 1, 3, 9)] == ["", "4", "2\n3\n4", "1\n2\n3\n4"]


def test_bytes_that_are_no_text(one: LocalInstance) -> None:
    one.log_file("a").write_bytes(b"a\xff\n")
    assert text(one.logs("a")) == "a�\n"


@pytest.fixture
def alive(one: LocalInstance, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the running services; a test removes names to stop services."""
    found = {"a", "b"}
    told = {"pid": 1, "status": None, "since": ""}
    one.keep_specs({name: spec(Path("/")) for name in ("a", "b")}, {})
    monkeypatch.setattr(LocalInstance, "processes", lambda self: {name: {**told, "running": name in found} for name in ("a", "b")})
    return found


@pytest.mark.usefixtures("alive")
def test_following_goes_on_as_it_is_written(one: LocalInstance) -> None:
    write(one, "1\n2\n")
    with closing(one.follow(["a"], 1)) as stream:  # type: ignore[type-var]
        assert next(stream) == ("a", b"2\n")
        write(one, "3\n")
        assert next(stream) == ("a", b"3\n")


@pytest.mark.usefixtures("alive")
def test_following_over_a_rotation_loses_nothing(one: LocalInstance) -> None:
    """Text written between the last read and the rotation is in the older file; the new file may be longer than the older file."""
    write(one, "1\n")
    with closing(one.follow(["a"], None)) as stream:  # type: ignore[type-var]
        assert next(stream) == ("a", b"1\n")
        write(one, "2\n")
        rotate(one)
        write(one, "3, which is longer\n")
        assert [next(stream), next(stream)] == [("a", b"2\n"), ("a", b"3, which is longer\n")]
        write(one, "4\n")
        rotate(one)
        assert next(stream) == ("a", b"4\n")
        write(one, "5\n")
        assert next(stream) == ("a", b"5\n")


@pytest.mark.usefixtures("alive")
def test_following_what_has_printed_nothing_yet(one: LocalInstance) -> None:
    stream = one.follow(["a", "b"], None)
    with closing(stream):  # type: ignore[type-var]
        write(one, "first\n", "b")
        assert next(stream) == ("b", b"first\n")
        write(one, "second\n")
        assert next(stream) == ("a", b"second\n")


def test_following_ends_with_the_last_process(one: LocalInstance, alive: set[str]) -> None:
    stream = one.follow(["a", "b"], 0)
    write(one, "before\n")
    alive.discard("a")
    write(one, "b too\n", "b")
    alive.discard("b")
    write(one, "last words\n")
    assert list(stream) == []  # all lines were written before following started, and `tail` is 0
    assert list(one.follow(["a"], None)) == [("a", b"before\nlast words\n")]


def test_the_last_words_are_not_lost(one: LocalInstance, alive: set[str]) -> None:
    stream = one.follow(["a"], None)
    write(one, "1\n")
    assert next(stream) == ("a", b"1\n")
    write(one, "last words\n")
    alive.clear()
    assert list(stream) == [("a", b"last words\n")]


# Commands beside a process


def test_specs_are_kept_for_ourselves(one: LocalInstance, tmp_path: Path) -> None:
    kept = {"a": spec(tmp_path, SECRET="x")}
    one.keep_specs(kept, {})
    assert one.specs() == kept
    assert stat.S_IMODE((one.state_folder / "local.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", None])
def test_specs_that_are_not_there(one: LocalInstance, text: str | None) -> None:
    if text is not None:
        (one.state_folder / "local.json").write_text(text)
    assert one.specs() == {}
    with pytest.raises(EnvctlError, match="a: its process is gone"):
        one.interactive("a", ["true"], {}, None)


def test_standard_input_is_streamed(tmp_path: Path) -> None:
    ran = run(["wc", "-c"], os.environ, spec(tmp_path), (b"x" * 65536 for _ in range(20)))
    assert ran.output.strip() == str(20 * 65536)


def test_a_command_that_does_not_read_its_input(tmp_path: Path) -> None:
    ran = run(["sh", "-c", "exec <&-; echo enough; exit 4"], os.environ, spec(tmp_path), (b"x" * 65536 for _ in range(20)))
    assert (ran.status, ran.output) == (4, "enough\n")


def test_an_input_that_fails_kills_the_command(tmp_path: Path) -> None:
    """The command would take the end of its input for the end of the data, and commit half of the data."""

    def rows() -> Iterator[bytes]:
        yield b"1\n"
        raise ValueError("line 2: no such column")

    with pytest.raises(ValueError, match="line 2"):
        run(["sh", "-c", f"cat > {tmp_path}/read; touch {tmp_path}/committed"], os.environ, spec(tmp_path), rows())
    assert not (tmp_path / "committed").exists()


def test_how_a_command_ends(tmp_path: Path) -> None:
    assert run(["sh", "-c", "kill -TERM $$"], os.environ, spec(tmp_path)).status == 128 + 15
    assert run(["no-such-program"], os.environ, spec(tmp_path)).status == 127
    assert run(["sh", "-c", "echo out; echo err >&2"], os.environ, spec(tmp_path)).output == "out\nerr\n"


def test_secrets_of_a_command_on_the_terminal_stand_in_no_argument(
    one: LocalInstance, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All users of the machine can read the arguments of a process."""
    monkeypatch.setenv("OF_THIS_SHELL", "yes")
    one.keep_specs({"a": spec(tmp_path, SECRET="of the service")}, {})
    what = one.interactive("a", ["sh", "-i"], {"PASSWORD": "of the client"}, None)
    assert (list(what.argv)[1:], what.cwd) == (["-i"], str(tmp_path))
    size = ("COLUMNS", "LINES")  # variables that give the terminal's size, present only if they are set here
    assert {key: value for key, value in what.env.items() if key not in size} == {
        **{key: value for key, value in session.environ.items() if key == "TERM"},
        "PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"], "SECRET": "of the service",
        "PASSWORD": "of the client", MARK: ID,
    }  # fmt: skip


# States that the keeper reports


def test_states(made: Made, session: Session, tmp_path: Path) -> None:
    project = made(shell("a", SLEEPS, tmp_path), shell("b", "exit 3", tmp_path), shell("c", "true", tmp_path))
    instance = LocalInstance(session.host, ID)
    assert instance.states() == dict.fromkeys("abc", ServiceState()), "they are there, and nothing runs"
    for name in ("a", "b"):
        project.start(project.plan.services[name])
    until(lambda: not instance.state("b").running)
    until(lambda: text(instance.logs("a")) == "started\n")
    states = instance.states()
    assert [(states[name].running, states[name].status) for name in ("a", "b")] == [(True, None), (False, 3)]
    assert states["a"].id.startswith("a:")
    assert not instance.state("c").running


def test_without_a_keeper_nothing_runs(one: LocalInstance) -> None:
    assert (one.states(), one.state("a").running) == ({}, False)


def test_a_real_log_that_is_rotated_is_followed(made: Made, session: Session, tmp_path: Path) -> None:
    """A process prints more than one log file holds."""
    script = f"{sys.executable} -c 'for n in range(1500): print(n, \"x\" * 8000, flush=True)'"
    project = made(shell("a", script, tmp_path))
    project.start(project.plan.services["a"])
    seen = b"".join(piece for _, piece in LocalInstance(session.host, ID).follow(["a"], None))
    assert [int(line.split()[0]) for line in seen.splitlines()] == list(range(1500))
    assert project.log_file("a").with_name("a.log.1").exists()


def test_whoever_looks_at_an_instance_needs_no_kinds() -> None:
    """`list` and `status` run often, and importing the models of a definition would take most of their time."""
    script = "import sys, envctl.cli.inspect, envctl.engines.mixed, envctl.engines.local.instance; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "envctl.engines.local.instance" in loaded
    assert not {"envctl.definition.kinds", "envctl.plan.model", "envctl.definition.models", "envctl.render.compose", "pydantic"} & set(
        loaded
    )
