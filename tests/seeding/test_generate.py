from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from envctl.engines import CommandResult
from envctl.environment import open_environment
from envctl.errors import DefinitionError, ServiceFailed
from envctl.plan.model import Feed, Table
from envctl.seeding import Seeder, seed
from tests.builders import FakeDeployment, feed, plan_with, step_of
from tests.seeding.reference import READERS


def feed_for(table: Table) -> Feed:
    return Feed(("load", table.name, *table.columns), {}, "postgres-csv", ("select", table.name, *table.columns))


def rows(
    folder: Path, project: FakeDeployment | None = None, *more: dict[str, Any], count: int = 20, random: int = 7, **columns: Any
) -> Any:
    """Seed generated rows; return the rows as the server reads them."""
    project = project or FakeDeployment()
    given = [{"table": "t", "count": count, "random": random, "columns": columns}, *more]
    step = step_of("db", step={"generate": given}, inline=given, feed=feed("postgres-csv"), feed_for=feed_for)
    seed(step, Seeder(plan_with(project=folder), project, {}, folder))
    return READERS["postgres-csv"](b"".join(project.fed))


COLUMNS: dict[str, Any] = {
    "id": {"sequence": 100},
    "name": "name",
    "mail": {"provider": "email", "unique": True},
    "born": {"provider": "date_between", "start_date": "1990-01-01", "end_date": "2000-12-31"},
    "note": {"provider": "sentence", "nulls": 0.5},
    "price": {"provider": "pydecimal", "left_digits": 3, "right_digits": 2, "positive": True},
    "kind": {"provider": "random_element", "elements": ["a", "b"]},
    "flag": {"provider": "pybool"},
    "data": {"value": {"a": [1]}},
    "raw": {"provider": "binary", "length": 4},
}


def test_the_same_number_makes_the_same_rows(tmp_path: Path) -> None:
    found = rows(tmp_path, **COLUMNS)
    assert found == rows(tmp_path, **COLUMNS)
    assert found != rows(tmp_path, random=8, **COLUMNS)
    assert [row[0] for row in found] == [str(100 + number).encode() for number in range(20)]
    assert len({row[2] for row in found}) == 20
    assert all(b"1990-01-01" <= row[3] <= b"2000-12-31" for row in found)
    assert 0 < sum(row[4] is None for row in found) < 20
    assert {row[6] for row in found} == {b"a", b"b"}
    assert {row[8] for row in found} == {b'{"a": [1]}'}
    assert all(row[9].startswith(b"\\x") for row in found)


def test_another_locale(tmp_path: Path) -> None:
    project = FakeDeployment()
    given = {"table": "t", "count": 30, "locale": "ja_JP", "columns": {"name": "name"}}
    step = step_of("db", step={"generate": given}, inline=[given], feed=feed("postgres-csv"), feed_for=feed_for)
    seed(step, Seeder(plan_with(project=tmp_path), project, {}, tmp_path))
    assert not project.fed[0].isascii()


def test_references_are_drawn_from_the_rows_that_are_there(tmp_path: Path) -> None:
    project = FakeDeployment(answers={("select", "shop.people", "id"): CommandResult(0, "3\n5\n8\n")})
    found = rows(tmp_path, project, who={"from": "shop.people.id"}, n={"sequence": 1})
    assert {row[0] for row in found} == {b"3", b"5", b"8"}
    unique = FakeDeployment(answers={("select", "people", "id"): CommandResult(0, "3\n5\n8\n")})
    assert sorted(row[0] for row in rows(tmp_path, unique, count=3, who={"from": "people.id", "unique": True}, n={"sequence": 1})) == [
        b"3",
        b"5",
        b"8",
    ]


TOO_LONG: list[dict[str, Any]] = [
    {"provider": "text", "max_nb_chars": 10**9},
    {"provider": "binary", "length": 2**31},
    {"provider": "pystr", "min_chars": 10**8, "max_chars": 10**8},
    {"provider": "random_number", "digits": 10**7},
    {"provider": "image", "size": [60_000, 60_000]},
    {"provider": "texts", "nb_texts": 100_000, "max_nb_chars": 100_000},
    {"provider": "fixed_width", "data_columns": [[10**9, "name"]]},
    {"provider": "json", "data_columns": [["a", "text", {"max_nb_chars": 10**9}]]},
    {"provider": "tar", "uncompressed_size": float(10**12)},
    {"provider": "uri", "deep": 10**9},
]


@pytest.mark.parametrize("column", TOO_LONG, ids=lambda column: column["provider"])
def test_a_value_that_would_be_too_long_is_a_mistake(tmp_path: Path, column: dict[str, Any]) -> None:
    text = yaml.safe_dump({"table": "t", "count": 1, "columns": {"a": column}}, default_flow_style=True, width=1000)
    (tmp_path / "e.yaml").write_text(f"name: e\nservices:\n  db:\n    kind: postgres\n    seed:\n      - generate: {text}")
    with pytest.raises(DefinitionError, match=r"e\.yaml:6: .*generate\.columns\.a: .*too much for one value; at most"):
        open_environment("e.yaml", cwd=tmp_path, environ={})
    with pytest.raises(ServiceFailed, match="too much for one value"):
        rows(tmp_path, count=1, a=column)


def test_long_values_and_large_numbers_are_none(tmp_path: Path) -> None:
    (found,) = rows(
        tmp_path,
        count=1,
        a={"provider": "binary", "length": 1 << 20},
        b={"provider": "pyint", "min_value": 10**12, "max_value": 10**13},
        c={"provider": "random_element", "elements": [10**15]},
        d={"provider": "unix_time", "end_datetime": 1_700_000_000},
    )
    assert (len(found[0]), len(found[1]), found[2]) == (2 + (2 << 20), 13, b"1000000000000000")


@pytest.mark.parametrize(
    "column",
    [
        {"provider": "password", "length": 1},
        {"provider": "date_of_birth", "minimum_age": 100_000, "maximum_age": 100_000},
        {"provider": "pystr_format", "string_format": "{{parse}}"},
    ],
)
def test_what_a_provider_fails_of_is_said_with_its_row(tmp_path: Path, column: dict[str, Any]) -> None:
    with pytest.raises(ServiceFailed, match="row 1 of 't'"):
        rows(tmp_path, count=1, a=column)


def test_a_locale_that_is_none(tmp_path: Path) -> None:
    given = [{"table": "t", "count": 1, "locale": "xx_XX", "columns": {"name": "name"}}]
    step = step_of("db", step={"generate": given}, inline=given, feed=feed("postgres-csv"), feed_for=feed_for)
    with pytest.raises(ServiceFailed, match="xx_XX"):
        seed(step, Seeder(plan_with(project=tmp_path), FakeDeployment(), {}, tmp_path))


def test_no_rows_make_no_command(tmp_path: Path) -> None:
    assert rows(tmp_path, count=0, name="name") == []


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": "frist_name"}, "column 'a': Faker has no provider 'frist_name'; did you mean 'first_name'?"),
        ({"a": "seed_instance"}, "Faker has no provider 'seed_instance'(?!.*'seed_instance')"),
        ({"a": "__class__"}, "Faker has no provider '__class__'"),
        ({"a": {"provider": "name", "legnth": 3}}, "row 1 of 't': .*unexpected keyword argument 'legnth'"),
        ({"a": {"provider": "random_element", "elements": [1, 2], "unique": True}}, "row 3 of 't': column 'a': after 2 values there is no"),
        ({"a": {"provider": "date_between", "start_date": "soon"}}, "row 1 of 't': "),
        ({"a": {"from": "people.id"}}, "`from: people.id`: that table has no rows"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_step(tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceFailed, match=r"failed at environment.yaml:7: .*" + words):
        rows(tmp_path, **columns)


def test_the_servers_words_about_a_reference(tmp_path: Path) -> None:
    project = FakeDeployment(answers={("select", "nowhere", "id"): CommandResult(1, 'ERROR:  relation "nowhere" does not exist\n')})
    with pytest.raises(ServiceFailed, match='relation "nowhere" does not exist'):
        rows(tmp_path, project, a={"from": "nowhere.id"})


def test_tables_are_made_one_after_the_other(tmp_path: Path) -> None:
    project = FakeDeployment(answers={("select", "t", "id"): CommandResult(0, "1\n")})
    rows(tmp_path, project, {"table": "u", "count": 1, "columns": {"t_id": {"from": "t.id"}, "x": "word"}}, name="name", n="word")
    assert [argv[:2] for _, argv in project.executed] == [("load", "t"), ("select", "t"), ("load", "u")], (
        "what a table before it has made is there"
    )
