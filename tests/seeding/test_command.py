from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from tests.builders import FakeDeployment, plan_with, service, step_of
from tests.processes import running, until

SAY = "import os, sys; print(os.getcwd()); print(os.environ['DB']); print(sys.stdin.read()); print('err', file=sys.stderr)"


def run(folder: Path, where: str | None, *words: str, answers: dict[tuple[str, ...], CommandResult] | None = None) -> FakeDeployment:
    project = FakeDeployment(answers=answers or {})
    step = step_of("db", step={"command": "x", **({"in": where} if where else {})}, command=words)
    seed(step, Seeder(plan_with(service("db"), service("orders")), project, {"DB": "there"}, folder))
    return project


@pytest.mark.parametrize("where", ["server", "db"])
def test_in_the_server(tmp_path: Path, where: str) -> None:
    assert run(tmp_path, where, "psql", "-c", "x").executed == [("db", ("psql", "-c", "x"))]


def test_in_the_image_of_a_service(tmp_path: Path) -> None:
    project = run(tmp_path, "orders", "alembic", "upgrade")
    assert project.ran_once == [("orders", ("alembic", "upgrade"))]
    assert project.executed == []


@pytest.mark.parametrize("where", [None, "host"])
def test_on_this_machine_in_the_folder_of_the_definition(tmp_path: Path, where: str | None) -> None:
    script = f"{SAY}; open('made', 'w').write('x')"
    run(tmp_path, where, sys.executable, "-c", script)
    assert (tmp_path / "made").read_text() == "x"


def test_on_this_machine_with_the_outputs_and_no_input(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed) as caught:
        run(tmp_path, "host", sys.executable, "-c", f"{SAY}; sys.exit(4)")
    evidence = caught.value.evidence
    assert evidence is not None
    assert sorted(evidence.logs) == sorted([str(tmp_path), "there", "err"])
    assert evidence.exit_status == 4


def test_on_this_machine_with_the_variables_of_the_caller_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "yes")
    run(tmp_path, "host", sys.executable, "-c", "import os, sys; sys.exit('OF_THIS_PROCESS' in os.environ)")


@pytest.mark.parametrize("where", ["server", "orders"])
def test_a_failure_is_the_commands(tmp_path: Path, where: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        run(tmp_path, where, "migrate", answers={("migrate",): CommandResult(2, "one\ntwo: no such table\n\n")})
    assert caught.value.message == "db: seed step 1 failed at environment.yaml:7: two: no such table"
    assert caught.value.evidence is not None
    assert caught.value.evidence.logs == ("one", "two: no such table")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="no-such-program: No such file or directory"):
        run(tmp_path, "host", "no-such-program")


def test_what_is_no_utf8_is_shown_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="a\ufffdb"):
        run(tmp_path, "host", sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'a\\xffb'); sys.exit(1)")


def test_what_it_leaves_behind_on_this_machine_ends_with_it(tmp_path: Path) -> None:
    run(tmp_path, "host", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $! > pid")
    until(lambda: not running(int((tmp_path / "pid").read_text())))


def test_of_its_output_on_this_machine_the_end_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="the last words"):
        run(tmp_path, None, "sh", "-c", "head -c 30000000 /dev/zero; echo; echo the last words; exit 3")
