"""The conversion of a planned service to the process that runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.local import specs
from envctl.engines.local.instance import Spec, resolved
from envctl.engines.local.programs import InstalledProgram
from envctl.engines.local.specs import Prepared, prepare, prepare_all, search_path, spec_of
from envctl.errors import EngineMissing
from envctl.plan.model import File, FirstStep, Limits, LocalPlan, LocalProgram, ServicePlan
from tests.builders import service

SERVER = InstalledProgram(Path("/opt/db/bin/server"), "16.1")
PYTHON = InstalledProgram(Path(sys.executable), "1", True)
HERE = str(Path(sys.executable).parent)


def own(**changes: Any) -> ServicePlan:
    return service("api", **{"run": ("serve",), "folder": Path("/source"), "local": LocalPlan(""), **changes})


def server(**changes: Any) -> ServicePlan:
    return service("db", **{"kind": "db", "command": ("server", "-x"), "local": of_version("16"), **changes})


def of_version(version: str, **changes: Any) -> LocalPlan:
    program = LocalProgram(install="install it from there", losses=["one thing less"])
    return LocalPlan(version, **{"program": program, **changes})


def spec(given: ServicePlan, found: InstalledProgram | None = None, user: int | None = None) -> Spec:
    return spec_of(Prepared(given, found, user), Path("/root-of/it"), os.environ)


# The program


def test_what_a_team_runs() -> None:
    made = spec(own(run=("serve", "--port", "1"), env={"A": "b"}))
    assert (made.argv, made.cwd, made.env["A"], made.user) == (("serve", "--port", "1"), "/source", "b", None)


def test_a_server_is_started_by_its_path() -> None:
    made = spec(server(), SERVER, 65534)
    assert (made.argv, made.cwd, made.user) == (("/opt/db/bin/server", "-x"), "/root-of/it", 65534)


def test_a_program_may_take_arguments_of_its_own_first() -> None:
    made = spec(server(), replace(PYTHON, arguments=("-m", "server")))
    assert made.argv == (sys.executable, "-m", "server", "-x")


def test_what_is_kept_of_it_is_read_again() -> None:
    made = spec(server(resources=Limits(memory=1 << 20)), SERVER, 65534)
    assert Spec.of(asdict(made)) == made


def test_a_program_is_looked_up_in_the_path_of_its_service(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    env = {"PATH": str(tmp_path)}
    assert resolved(("tool", "a"), env, "/") == (str(tool), "a")
    assert resolved(("./tool", "a"), env, "/") == ("./tool", "a")
    assert resolved(("no-such-tool", "a"), env, "/") == ("no-such-tool", "a")


# The environment of the process


def test_a_program_of_the_team_inherits_ours_without_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_SHELL", "yes")
    monkeypatch.setenv("ENVCTL_ENGINE", "docker")
    made = spec(own(env={"OF_THIS_SHELL": "no"}))
    assert made.environment(os.environ)["OF_THIS_SHELL"] == "no"
    assert spec(own()).environment(os.environ)["OF_THIS_SHELL"] == "yes"
    assert "OF_THIS_SHELL" not in spec(own()).env, "what is kept on disk is what the definition says"
    assert not [key for key in made.environment(os.environ) if key.startswith("ENVCTL_")]


def test_another_shell_is_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec(own())
    monkeypatch.setenv("SHLVL", "77")
    monkeypatch.setenv("PATH", "/elsewhere")
    assert spec(own()).mark == before.mark
    assert spec(own(env={"A": "b"})).mark != before.mark


def test_a_server_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_SHELL", "yes")
    made = spec(server(env={"A": "b"}), SERVER)
    assert {key: value for key, value in made.environment(os.environ).items() if key != "PATH"} == {
        "HOME": "/root-of/it", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "A": "b",
    }  # fmt: skip


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, str], None]:
    """Return a function that simulates envctl inside or outside a virtual environment, with another one active in the shell."""

    def be(virtual: bool, active: str) -> None:
        monkeypatch.setattr(sys, "base_prefix", "/usr" if virtual else sys.prefix)
        monkeypatch.setenv("VIRTUAL_ENV", active)
        monkeypatch.setenv("PATH", "/shell/bin:/bin")

    return be


@pytest.mark.parametrize(
    ("virtual", "active", "expected"),
    [
        (True, "", f"{HERE}:/shell/bin:/bin"),
        (True, "/project/.venv", f"/shell/bin:/bin:{HERE}"),
        (False, "", f"/shell/bin:/bin:{HERE}"),
    ],
    ids=["as if ours were active", "another one is", "we are in none"],
)
@pytest.mark.parametrize("found", [None, PYTHON])
def test_the_path(shell: Callable[[bool, str], None], found: InstalledProgram | None, virtual: bool, active: str, expected: str) -> None:
    shell(virtual, active)
    assert search_path(found, os.environ) == expected


def test_a_server_finds_its_own_tools_first(shell: Callable[[bool, str], None]) -> None:
    shell(True, "")
    assert search_path(SERVER, os.environ) == "/opt/db/bin:/shell/bin:/bin"


def test_a_path_that_is_given_stays() -> None:
    assert spec(own(env={"PATH": "/mine"})).env["PATH"] == "/mine"


# Changes that require a new process


@pytest.mark.parametrize(
    "changes",
    [
        {"run": ("serve", "--more")},
        {"env": {"A": "b"}},
        {"folder": Path("/elsewhere")},
        {"files": {"/etc/x": File("content")}},
        {"resources": Limits(memory=1 << 20)},
        {"local": LocalPlan("", template=("fill",))},
    ],
)
def test_another_mark(changes: dict[str, Any]) -> None:
    assert spec(own(**changes)).mark != spec(own()).mark


def test_the_same_mark() -> None:
    assert spec(own(ready_timeout=5.0, needs={"db": "ready"})).mark == spec(own()).mark


# Limits


@pytest.mark.parametrize(
    ("resources", "limits"),
    [
        (Limits(memory=1 << 20, cpu=0.5), {"memory_bytes": 1 << 20, "cpu": 0.5}),
        (Limits(memory=1 << 20), {"memory_bytes": 1 << 20}),
        (Limits(cpu=2), {"cpu": 2.0}),
        (None, {}),
    ],
)
def test_limits(resources: Limits | None, limits: dict[str, float]) -> None:
    assert spec(own(resources=resources)).limits == limits


# What this machine does not support


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[InstalledProgram | None], None]:
    monkeypatch.setattr(specs, "unprivileged", lambda: 65534)
    monkeypatch.setattr(specs, "for_everybody", lambda found, cache: replace(found, path=Path("/copy/bin/server")))

    def be(what: InstalledProgram | None) -> None:
        monkeypatch.setattr(specs, "find_program", lambda local, version, path: what)

    return be


def test_a_program_that_is_not_here(found: Callable[[InstalledProgram | None], None]) -> None:
    found(None)
    with pytest.raises(EngineMissing, match="db: there is no program for the kind 'db' on this machine") as caught:
        prepare(server(), os.environ)
    assert caught.value.hint == "install it from there; or run this service on Docker"


def test_all_that_is_missing_is_named_in_one_go(found: Callable[[InstalledProgram | None], None]) -> None:
    found(None)
    with pytest.raises(EngineMissing) as caught:
        prepare_all([server(), own(), replace(server(), name="other")], Path, os.environ)
    assert [text for text in caught.value.message.split("; ") if "no program for the kind 'db'" in text] == [
        f"{name}: there is no program for the kind 'db' on this machine" for name in ("db", "other")
    ]
    assert caught.value.hint == "install it from there; or run this service on Docker", "once"
    found(SERVER)
    assert list(prepare_all([server(), own()], Path, os.environ)) == ["db", "api"]


@pytest.mark.parametrize(("given", "silent"), [(own, LocalPlan("")), (server, LocalPlan("16", program=LocalProgram()))])
def test_files_that_the_program_cannot_see_are_a_loss(
    found: Callable[[InstalledProgram | None], None], given: Callable[..., ServicePlan], silent: LocalPlan, tmp_path: Path
) -> None:
    found(SERVER)
    of_project, of_kind = File("text", tmp_path / "x"), File("text")
    mounted = replace(given(), mounts=("/docker-entrypoint",), local=silent)
    plain = replace(mounted, files={"/etc/kind.conf": of_kind, "/docker-entrypoint/x.sql": of_project})
    assert prepare(plain, os.environ).losses == ()
    hidden = replace(mounted, files={"/etc/kind.conf": of_kind, **{f"/etc/{name}": of_project for name in "abcde"}})
    assert prepare(hidden, os.environ).losses == (
        "its files are not at /etc/a, /etc/b, /etc/c and 2 more, but in a folder of its own, ${self.prefix}",
    )


FIRST = of_version("16", first=(FirstStep(("sh", "-c", 'for each in "$0"/init.d/*'), {}, "", None),))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (own(run=("serve", "/init.d/x")), True),
        (own(run=("serve", "/root-of/it/init.d/x")), False),
        (own(env={"CONFIG": "/root-of/it"}), False),
        (server(), True),
        (server(command=("server", "-c", "/init.d/x")), True),
        (server(command=("server", "-D", "/root-of/it/data")), True),
        (server(command=("server", "-c", "/root-of/it/init.d/x")), False),
        (server(local=FIRST), False),
    ],
)
def test_who_is_told_where_a_file_is_can_see_it(
    found: Callable[[InstalledProgram | None], None], tmp_path: Path, given: ServicePlan, told: bool
) -> None:
    found(SERVER)
    losses = prepare(replace(given, files={"/init.d/x": File("text", tmp_path / "x")}), os.environ, Path("/root-of/it")).losses
    assert any("its files are not at /init.d/x, " in loss for loss in losses) is told


def test_losses_are_told(found: Callable[[InstalledProgram | None], None]) -> None:
    found(SERVER)
    assert prepare(server(), os.environ).losses == ("one thing less",)
    found(replace(SERVER, loss="another server"))
    assert prepare(server(), os.environ).losses == ("another server", "one thing less")
    found(SERVER)
    assert prepare(server(local=of_version("17")), os.environ).losses == ("server 16.1 (installed here) instead of 17", "one thing less")
    assert prepare(server(local=of_version("")), os.environ).losses == ("one thing less",)


def test_a_server_that_refuses_root(found: Callable[[InstalledProgram | None], None]) -> None:
    found(SERVER)
    assert (prepare(server(), os.environ).user, prepare(server(), os.environ).program) == (None, SERVER)
    refusing = server(local=of_version("16", program=LocalProgram(unprivileged=True)))
    prepared = prepare(refusing, os.environ)
    assert (prepared.user, prepared.program) == (65534, InstalledProgram(Path("/copy/bin/server"), "16.1"))


def test_a_file_that_is_missing(found: Callable[[InstalledProgram | None], None], tmp_path: Path) -> None:
    found(InstalledProgram(tmp_path / "bin/server", "16.1"))
    asking = server(local=of_version("16", missing=(("share/*/thing.control", "it has no extension 'thing'"),)))
    with pytest.raises(EngineMissing, match="db: it has no extension 'thing'"):
        prepare(asking, os.environ)
    (tmp_path / "share/x").mkdir(parents=True)
    (tmp_path / "share/x/thing.control").touch()
    assert prepare(asking, os.environ).program is not None


def test_what_a_team_runs_needs_no_program_of_a_kind(found: Callable[[InstalledProgram | None], None]) -> None:
    found(None)
    mine = server(run=("mine",), folder=Path("/source"), local=LocalPlan("16"))
    assert prepare(mine, os.environ) == Prepared(mine, None, None, ())
    assert os.fspath(spec(mine).cwd) == "/source"
