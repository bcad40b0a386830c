"""Tests of the user's index of snapshots on disk."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.snapshots.index import Entry, Index

ENTRY = Entry(
    "k1", "docker", "unix:///run/docker.sock", "envctl/snapshot:k1", "sha256:1", 5, "shop/db", "postgres", "postgres:17", "now", ("s",)
)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "envctl" / "snapshots")


def test_it_is_found_where_it_was_added(index: Index) -> None:
    index.add(ENTRY)

    assert index.find("k1", "docker", "unix:///run/docker.sock") == ENTRY
    assert index.find("k1", "docker", "tcp://elsewhere") is None
    assert index.find("k2", "docker", "unix:///run/docker.sock") is None
    assert Index(index.folder / "none").all() == []


def test_the_last_used_is_the_first(index: Index) -> None:
    later = replace(ENTRY, key="k2")
    index.add(ENTRY)
    index.add(later)
    os.utime(index.folder / ENTRY.file, (1, 1))
    os.utime(index.folder / later.file, (2, 2))

    assert [entry.key for entry, _ in index.all()] == ["k2", "k1"]
    index.used(ENTRY)
    assert [entry.key for entry, _ in index.all()] == ["k1", "k2"]


def test_what_is_forgotten_is_not_found(index: Index) -> None:
    index.add(ENTRY)

    index.forget(ENTRY)
    index.forget(ENTRY)

    assert index.all() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', "\0"])
def test_a_damaged_file_is_no_snapshot(index: Index, text: str) -> None:
    index.add(ENTRY)
    (index.folder / ENTRY.file).write_text(text)

    assert index.all() == []


def test_a_folder_of_somebody_else_is_refused(index: Index) -> None:
    index.add(ENTRY)
    index.folder.chmod(0o777)

    with pytest.raises(UsageError, match="others can write to it"):
        index.find("k1", "docker", "")


def test_one_makes_it_at_a_time(index: Index) -> None:
    with index.building("k1") as mine, index.building("k1") as theirs, index.building("k2") as another:
        assert (mine, theirs, another) == (True, False, True)
    with index.building("k1") as again:
        assert again


def test_who_waits_for_it_comes_after_whoever_makes_it(index: Index) -> None:
    order: list[str] = []

    def late() -> None:
        with index.building("k1", wait=True) as free:
            order.append(f"waited {free}")

    waiting = threading.Thread(target=late)
    with index.building("k1"):
        waiting.start()
        order.append("made")
    waiting.join()
    assert order == ["made", "waited True"]
