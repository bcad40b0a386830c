from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import CommandResult, Execution
from envctl.errors import ServiceFailed
from envctl.plan.model import Feed
from envctl.seeding import Seeder, seed
from envctl.seeding.csv.dialects import DIALECTS
from tests.builders import FakeDeployment, feed, plan_with, step_of
from tests.seeding.reference import READERS


def feed_for(dialect: str) -> Any:
    return lambda table: Feed(("load", table.name, *table.columns, "|", *sorted(table.binary)), {}, dialect)


def load(
    folder: Path, given: Any, dialect: str = "postgres-csv", project: FakeDeployment | None = None, name: str = "", **more: Any
) -> FakeDeployment:
    """Seed rows that are given in the step, or written to the file *name* if there is one; return the deployment."""
    project = project or FakeDeployment()
    if name:
        (folder / name).write_text(given)
    files, inline = ((folder / name,), None) if name else ((), given)
    step = step_of("db", step={"rows": name or given, **more}, files=files, inline=inline, feed=feed(dialect), feed_for=feed_for(dialect))
    seed(step, Seeder(plan_with(project=folder), project, {}, folder))
    return project


@pytest.mark.parametrize("dialect", READERS)
def test_every_value_arrives_as_its_column_reads_it(tmp_path: Path, dialect: str) -> None:
    row = {"s": 'a "quote", tab\t\\N\n', "e": "", "n": None, "i": 12, "f": 1.5, "t": True, "u": False, "j": {"ü": [1, None]}, "l": ["a"]}
    project = load(tmp_path, {"t": [row]}, dialect)
    ((_, argv),) = project.executed
    assert argv == ("load", "t", *row, "|")
    no, yes = DIALECTS[dialect].booleans
    expected = [b'a "quote", tab\t\\N\n', b"", None, b"12", b"1.5", yes, no, '{"ü": [1, null]}'.encode(), b'["a"]']
    assert READERS[dialect](project.fed[0]) == [expected]


@pytest.mark.parametrize(("dialect", "text"), [("postgres-csv", b"\\x00ff"), ("mysql-tsv", b"00ff")])
def test_bytes(tmp_path: Path, dialect: str, text: bytes) -> None:
    project = load(tmp_path, {"t": [{"a": 1, "raw": {"$base64": "AP8="}}, {"a": 2, "raw": None}]}, dialect)
    assert [argv[-2:] for _, argv in project.executed] == [("|", "raw")]
    assert READERS[dialect](project.fed[0]) == [[b"1", text], [b"2", None]]


def test_rows_with_the_same_columns_are_one_command(tmp_path: Path) -> None:
    """A column without a value gets its default, and a loader can set this only for all of its rows."""
    rows = [{"a": 1, "b": 2}, {"b": 4, "a": 3}, {"a": 5}, {"a": 6, "b": 7}]
    project = load(tmp_path, {"t": rows, "u": [{"a": 1, "b": 2}]})
    assert [argv[1:-1] for _, argv in project.executed] == [("t", "a", "b"), ("t", "a"), ("t", "a", "b"), ("u", "a", "b")]
    assert project.fed == [b'"1","2"\n"3","4"\n', b'"5"\n', b'"6","7"\n', b'"1","2"\n']


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.yaml"])
def test_files_for_one_table(tmp_path: Path, name: str) -> None:
    rows = [{"a": 1.5}, {"a": "x"}]
    text = "\n".join(map(json.dumps, rows)) if name == "x.jsonl" else json.dumps(rows)
    assert load(tmp_path, text, name=name, into="t").fed == [b'"1.5"\n"x"\n']


def test_a_number_keeps_its_writing(tmp_path: Path) -> None:
    assert load(tmp_path, "t: [{a: 1.10, b: 007}]", name="x.yaml").fed == [b'"1.10","007"\n']


@pytest.mark.parametrize(
    ("name", "text", "into", "place", "words"),
    [
        ("x.jsonl", '{"a": 1}\n', None, ":1", "no table is named"),
        ("x.yaml", "t: [{a: 1}]", "t", ":1", "`into` names one"),
        ("x.yaml", "t:\n  - {a: 1}\n  - 2\n", None, ":3", "a row of 't' is a map"),
        ("x.yaml", "t:\n  - {}\n", None, ":2", "a row of 't' is a map"),
        ("x.jsonl", '{"a": 1}\n{"a": {"$base64": "%"}}', "t", ":2", "`\\$base64`"),
        ("x.jsonl", '{"a": 1}\n{"a": "\\u0000"}', "t", ":2", "a NUL byte"),
        ("x.jsonl", '{"a": 1}\n{"a": "\\ud800"}', "t", ":2", "surrogates"),
        ("x.jsonl", '{"a": null}', "t", ":1", "a row of one column that is NULL"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, name: str, text: str, into: str | None, place: str, words: str) -> None:
    sent: list[bytes] = []

    def execute(service: str, what: Execution) -> CommandResult:
        sent.extend(what.stdin)
        return CommandResult(0, "")

    project = FakeDeployment()
    project.execute = execute  # type: ignore[method-assign]
    with pytest.raises(ServiceFailed, match=words) as caught:
        load(tmp_path, text, project=project, name=name, **({"into": into} if into else {}))
    assert f"{tmp_path / name}{place}: " in caught.value.message
    assert not sent or sent[-1] == DIALECTS["postgres-csv"].spoil, "an input that merely ends would be committed"


@pytest.mark.parametrize(
    ("dialect", "output", "line"),
    [
        ("postgres-csv", 'ERROR:  bad\nCONTEXT:  COPY t, line 3, column a: "x"\n', 4),
        ("mysql-tsv", "ERROR 1644 (45000) at line 5: Incorrect value at row 2\n", 4),
        ("postgres-csv", "FATAL: gone\n", 3),
    ],
)
def test_the_servers_words_and_the_files_line(tmp_path: Path, dialect: str, output: str, line: int) -> None:
    text = '{"b": 1}\n\n{"a": "two\\nlines"}\n{"a": 2}\n{"a": 3}'

    class Failing(FakeDeployment):
        def execute(self, service: str, what: Execution) -> CommandResult:
            super().execute(service, what)
            return CommandResult(1, output) if len(self.executed) == 2 else CommandResult(0, "")

    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, text, dialect, Failing(), "x.jsonl", into="t")
    assert f"failed at {tmp_path / 'x.jsonl'}:{line}: " in caught.value.message


def test_a_large_file_is_never_held(tmp_path: Path) -> None:
    import tracemalloc

    with (tmp_path / "x.jsonl").open("w") as stream:
        stream.writelines(json.dumps({"id": number, "text": "x" * 500}) + "\n" for number in range(40_000))
    peak = [0]

    def execute(service: str, what: Execution) -> CommandResult:
        assert sum(map(len, what.stdin)) > 20_000_000
        peak[0] = tracemalloc.get_traced_memory()[1]
        return CommandResult(0, "")

    project = FakeDeployment()
    project.execute = execute  # type: ignore[method-assign]
    step = step_of(
        "db",
        step={"rows": "x.jsonl", "into": "t"},
        files=(tmp_path / "x.jsonl",),
        feed=feed("postgres-csv"),
        feed_for=feed_for("postgres-csv"),
    )
    tracemalloc.start()
    try:
        seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    finally:
        tracemalloc.stop()
    assert 0 < peak[0] < 5_000_000
