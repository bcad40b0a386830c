from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.outputs import FORMATS, formatted, write_outputs
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
    ],
)
def test_formats(format: str, text: str) -> None:
    assert formatted(format, VALUES) == text


@pytest.mark.parametrize("format", FORMATS)
def test_no_outputs_are_readable_too(format: str) -> None:
    assert formatted(format, {}) == ("{}\n" if format == "json" else "")


def test_a_format_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no format 'jsn'") as caught:
        formatted("jsn", VALUES)
    assert caught.value.hint == "did you mean 'json'?"
    assert caught.value.exit_code == 2


def test_json_is_the_values(tmp_path: Path) -> None:
    values = {"Ä": 'ü"\n\u2028\x00'}
    assert json.loads(formatted("json", values)) == values


# The files of `write:`


def test_files_hold_the_outputs_and_are_emptied(tmp_path: Path) -> None:
    record = record_of(file=str(tmp_path / "environment.yaml"), write={".env.test": "dotenv", "sub/x.json": "json"}, outputs={"A": "ü"})
    write_outputs(record)
    assert (tmp_path / ".env.test").read_text("utf-8") == "A='ü'\n"
    assert json.loads((tmp_path / "sub/x.json").read_text("utf-8")) == {"A": "ü"}
    write_outputs(replace(record, outputs={}))
    assert (tmp_path / ".env.test").read_bytes() == b""
    assert (tmp_path / "sub/x.json").read_bytes() == b""


def test_nothing_is_made_to_be_empty(tmp_path: Path) -> None:
    write_outputs(record_of(file=str(tmp_path / "gone" / "environment.yaml"), write={".env": "dotenv"}))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(UsageError, match=r"\.env cannot be written: Is a directory") as caught:
        write_outputs(record_of(file=str(tmp_path / "environment.yaml"), write={".env": "dotenv"}, outputs={"A": "b"}))
    assert "`write:`" in caught.value.hint


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    """There are passwords in it; one that is there keeps its mode."""
    (tmp_path / "there").touch(mode=0o644)
    write_outputs(record_of(file=str(tmp_path / "e.yaml"), write={"new": "dotenv", "there": "dotenv"}, outputs={"A": "b"}))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "there")] == [0o600, 0o644]
