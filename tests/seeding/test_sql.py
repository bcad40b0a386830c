from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from envctl.engines import CommandResult
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from tests.builders import FakeDeployment, feed, plan_with, step_of


def load(folder: Path, files: dict[str, bytes], ran: CommandResult | None = None) -> FakeDeployment:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    step = step_of("db", step={"sql": "x"}, files=tuple(folder / name for name in files), feed=feed())
    project = FakeDeployment(answers={("client", "-f", "-"): ran or CommandResult(0, "NOTICE: done")})
    seed(step, Seeder(plan_with(project=folder), project, {}, folder))
    return project


def test_each_file_is_one_run_of_the_client(tmp_path: Path) -> None:
    project = load(tmp_path, {"1.sql": b"create $$;\r\n", "2.sql.gz": gzip.compress(b"insert \xff;")})
    assert project.fed == [b"create $$;\r\n", b"insert \xff;"]
    assert project.environments == [{"PASSWORD": "x"}] * 2


@pytest.mark.parametrize(
    ("output", "line", "said"),
    [
        (
            'psql:<stdin>:7: ERROR:  relation "t" does not exist\nLINE 1: insert into t\n                    ^\n',
            ":7",
            'psql:<stdin>:7: ERROR:  relation "t" does not exist',
        ),
        ("ERROR 1146 (42S02) at line 3: Table 'app.t' doesn't exist\n", ":3", "ERROR 1146 (42S02) at line 3: Table 'app.t' doesn't exist"),
        ("NOTICE: a\nFATAL: b\n", "", "FATAL: b"),
        ("what\never\n\n", "", "ever"),
        ("", "", "it printed nothing"),
    ],
)
def test_a_failure_says_file_line_and_the_servers_words(tmp_path: Path, output: str, line: str, said: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, {"1.sql": b"x"}, CommandResult(3, output))
    assert caught.value.message == f"db: seed step 1 failed at {tmp_path / '1.sql'}{line}: {said}"
    assert caught.value.evidence is not None
    assert caught.value.evidence.exit_status == 3


def test_the_servers_words_are_shown_in_its_order(tmp_path: Path) -> None:
    output = "NOTICE: before\npsql:<stdin>:1: ERROR:  duplicate key\nDETAIL:  Key (id)=(1) already exists.\n"
    with pytest.raises(ServiceFailed, match="duplicate key") as caught:
        load(tmp_path, {"1.sql": b"x"}, CommandResult(3, output))
    assert caught.value.evidence is not None
    assert caught.value.evidence.logs == tuple(output.splitlines())


@pytest.mark.parametrize(("before", "after"), [(100, 1), (100, 99), (5, 99)])
def test_the_error_is_among_the_lines_that_are_shown(tmp_path: Path, before: int, after: int) -> None:
    output = [*(f"NOTICE: {n}" for n in range(before)), "ERROR: x", *(f"DETAIL: {n}" for n in range(after))]
    with pytest.raises(ServiceFailed, match="ERROR: x") as caught:
        load(tmp_path, {"1.sql": b"x"}, CommandResult(3, "\n".join(output)))
    assert caught.value.evidence is not None
    logs = caught.value.evidence.logs
    assert len(logs) == 40
    assert "ERROR: x" in logs
    assert list(logs) == output[output.index(logs[0]) :][:40]


def test_a_file_that_cannot_be_read_to_its_end_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match=r"seed step 1 failed at .*1\.sql\.gz: it cannot be read: Compressed file ended before"):
        load(tmp_path, {"1.sql.gz": gzip.compress(b"insert;" * 1000)[:-9]})


def test_after_a_failure_the_next_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"a")
    project = FakeDeployment(answers={("client", "-f", "-"): CommandResult(1, "")})
    step = step_of("db", step={"sql": "x"}, files=(tmp_path / "a.sql", tmp_path / "a.sql"), feed=feed())
    with pytest.raises(ServiceFailed):
        seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert len(project.executed) == 1
