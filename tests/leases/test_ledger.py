"""Tests of the file in which the leases' helper keeps its state."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.leases import ledger
from envctl.leases.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.json"


def test_the_last_state_counts(path: Path) -> None:
    writer = Ledger(path)
    assert writer.found == {}
    for number in range(3):
        writer.write({"number": number})
    assert Ledger(path).found == {"number": 2}
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("torn", ['{"number": 3', '{"number": 3}garbage', "null", "\0" * 40])
def test_a_torn_line_is_none_and_is_not_written_on(path: Path, torn: str) -> None:
    writer = Ledger(path)
    writer.write({"number": 1})
    writer.write({"number": 2})
    with path.open("a") as stream:
        stream.write(torn)
    again = Ledger(path)
    assert again.found == {"number": 2}
    again.write({"number": 4})
    assert Ledger(path).found == {"number": 4}


def test_it_does_not_grow_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LONGEST", 200)
    writer = Ledger(path)
    for number in range(100):
        writer.write({"number": number})
        assert path.stat().st_size <= 200
    assert Ledger(path).found == {"number": 99}


def test_a_folder_that_is_gone_is_no_place_to_write_to(path: Path) -> None:
    writer = Ledger(path)
    writer.write({})
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        writer.write({})
