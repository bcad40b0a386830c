from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.definition import checks
from envctl.errors import UsageError
from envctl.instance.record import Record
from envctl.outputs import FORMATS, empty_outputs, formatted, refuse_foreign_files, write_outputs
from tests.builders import record_of

VALUES = {"A": "1", "B": "x y"}


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("dotenv", "A=1\nB=x y\n"),
        ("shell", "export A=1\nexport B='x y'\n"),
        ("json", '{\n  "A": "1",\n  "B": "x y"\n}\n'),
        ("github", "A=1\nB=x y\n"),
        ("properties", "A=1\nB=x y\n"),
        ("spring", "A=1\nB=x y\n"),
        ("cypress", '{\n  "A": "1",\n  "B": "x y"\n}\n'),
        ("karate", 'function fn() {\n  return {\n  "A": "1",\n  "B": "x y"\n};\n}\n'),
    ],
)
def test_formats(format: str, text: str) -> None:
    assert formatted(format, VALUES) == text


def test_definitions_know_the_same_formats() -> None:
    assert checks.FORMATS == FORMATS


@pytest.mark.parametrize("format", FORMATS)
def test_no_outputs_are_readable_too(format: str) -> None:
    documents = {"json": "{}\n", "cypress": "{}\n", "karate": "function fn() {\n  return {};\n}\n"}
    text = formatted(format, {})
    assert json.loads(text)["values"] == [] if format == "postman" else text == documents.get(format, "")


def test_a_format_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no format 'jsn'") as caught:
        formatted("jsn", VALUES)
    assert caught.value.hint == "did you mean 'json'?"
    assert caught.value.exit_code == 2


def test_json_is_the_values(tmp_path: Path) -> None:
    values = {"Ä": 'ü"\n\u2028\x00'}
    assert json.loads(formatted("json", values)) == values


# The files of `write:`


def written(record: Record) -> Record:
    """Write the outputs of *record*; return the record as it is afterwards."""
    noted: list[str] = []
    write_outputs(record, noted.extend)
    return replace(record, written=tuple(noted))


def of(folder: Path, **more: Any) -> Record:
    return record_of(file=str(folder / "environment.yaml"), project=str(folder), **{"outputs": {"A": "ü"}, **more})


def test_files_hold_the_outputs_and_are_emptied(tmp_path: Path) -> None:
    record = written(of(tmp_path, write={".env.test": "dotenv", "sub/x.json": "json"}))
    assert (tmp_path / ".env.test").read_text("utf-8") == "A=ü\n"
    assert json.loads((tmp_path / "sub/x.json").read_text("utf-8")) == {"A": "ü"}
    empty_outputs(record)
    assert (tmp_path / ".env.test").read_bytes() == b""
    assert (tmp_path / "sub/x.json").read_bytes() == b""
    written(record)
    assert (tmp_path / ".env.test").read_text("utf-8") == "A=ü\n"


def test_nothing_is_made_to_be_empty(tmp_path: Path) -> None:
    empty_outputs(of(tmp_path / "gone", write={".env": "dotenv"}))
    assert list(tmp_path.iterdir()) == []


def test_other_outputs_take_the_place_of_ours(tmp_path: Path) -> None:
    record = written(of(tmp_path, write={".env": "dotenv"}))
    written(replace(record, outputs={"A": "new"}))
    assert (tmp_path / ".env").read_text() == "A=new\n"


@pytest.mark.parametrize("do", [refuse_foreign_files, written])
def test_what_is_not_ours_is_not_replaced(tmp_path: Path, do: Callable[[Record], object]) -> None:
    (tmp_path / ".env").write_text("MY_KEY=only-here\n")
    with pytest.raises(UsageError, match=r"\.env exists already, and was not written by envctl") as caught:
        do(of(tmp_path, write={".env": "dotenv"}))
    assert "`envctl env" in caught.value.hint
    assert (tmp_path / ".env").read_text() == "MY_KEY=only-here\n"


def test_what_somebody_has_changed_is_not_emptied(tmp_path: Path) -> None:
    record = written(of(tmp_path, write={".env": "dotenv"}))
    (tmp_path / ".env").write_text("A='ü'\nMY_KEY=added\n")
    empty_outputs(record)
    assert "MY_KEY" in (tmp_path / ".env").read_text()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "theirs").touch()
    (tmp_path / "project/.env").symlink_to("../theirs")
    with pytest.raises(UsageError, match="symbolic link"):
        written(of(tmp_path / "project", write={".env": "dotenv"}))
    assert (tmp_path / "theirs").read_text() == ""


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(UsageError, match=r"\.env exists, and is not a regular file") as caught:
        written(of(tmp_path, write={".env": "dotenv"}))
    assert "`write:`" in caught.value.hint


def test_a_file_with_outputs_is_its_owners_alone(tmp_path: Path) -> None:
    """The file contains passwords."""
    (tmp_path / "there").touch(mode=0o644)
    written(of(tmp_path, write={"new": "dotenv", "there": "dotenv"}))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "there")] == [0o600, 0o600]
