from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from builders import FakeProject, feed, plan_with, step_of
from hypothesis import given
from hypothesis import strategies as st

from envctl.engines import Ran
from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from envctl.seeding.sql import PIECE, pieces


def load(folder: Path, files: dict[str, bytes], ran: Ran | None = None) -> FakeProject:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    step = step_of("db", step={"sql": "x"}, files=tuple(folder / name for name in files), feed=feed())
    project = FakeProject(answers={("client", "-f", "-"): ran or Ran(0, "NOTICE: done")})
    seed(step, Seeder(plan_with(), project, {}, folder))
    return project


def test_each_file_is_one_run_of_the_client(tmp_path: Path) -> None:
    project = load(tmp_path, {"1.sql": b"create $$;\r\n", "2.sql.gz": gzip.compress(b"insert \xff;")})
    assert project.fed == [b"create $$;\r\n", b"insert \xff;"]
    assert project.environments == [{"PASSWORD": "x"}] * 2


@given(st.integers(0, 3), st.sampled_from([-1, 0, 1]))
def test_pieces_are_the_file(tmp_path_factory: pytest.TempPathFactory, count: int, more: int) -> None:
    path = tmp_path_factory.getbasetemp() / "large.sql"
    content = b"x" * max(0, count * PIECE + more)
    path.write_bytes(content)
    found = list(pieces(path))
    assert b"".join(found) == content
    assert all(0 < len(piece) <= PIECE for piece in found)


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
        load(tmp_path, {"1.sql": b"x"}, Ran(3, output))
    assert caught.value.message == f"db: seed step 1 failed at {tmp_path / '1.sql'}{line}: {said}"
    assert caught.value.evidence is not None
    assert caught.value.evidence.exit_status == 3


def test_what_follows_an_error_belongs_to_it(tmp_path: Path) -> None:
    output = "NOTICE: before\npsql:<stdin>:1: ERROR:  duplicate key\nDETAIL:  Key (id)=(1) already exists.\n"
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, {"1.sql": b"x"}, Ran(3, output))
    assert caught.value.evidence is not None
    assert "DETAIL:  Key (id)=(1) already exists." in caught.value.evidence.logs


def test_after_a_failure_the_next_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"a")
    project = FakeProject(answers={("client", "-f", "-"): Ran(1, "")})
    step = step_of("db", step={"sql": "x"}, files=(tmp_path / "a.sql", tmp_path / "a.sql"), feed=feed())
    with pytest.raises(ServiceFailed):
        seed(step, Seeder(plan_with(), project, {}, tmp_path))
    assert len(project.executed) == 1
