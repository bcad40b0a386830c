"""Tests that envctl neither trusts nor uses state and cache folders that other users own or can write to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from envctl.engines.local import folders, templates
from envctl.errors import UsageError
from envctl.instance.folder import make_folder, refuse_foreign
from envctl.instance.lock import lock, sweep
from envctl.instance.store import RecordStore, UnreadableRecord
from envctl.keeper_client.client import KeeperClient
from tests.builders import record_of

ID = "t-123456"


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.chmod(0o777)
    return r"others can write to it \(mode 0777\)"


def sticky(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.chmod(0o1777)
    return r"others can write to it \(mode 1777\)"


def of_the_group(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.chmod(0o770)
    return r"others can write to it \(mode 0770\)"


def linked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    return "it is a symbolic link"


def anothers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    return "it belongs to another user"


Spoil = Callable[[Path, pytest.MonkeyPatch], str]
WAYS = pytest.mark.parametrize("spoil", [opened, sticky, of_the_group, linked, anothers])


@WAYS
def test_the_folder_of_all_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    store = RecordStore(tmp_path / "envctl")
    store.create(record_of())
    why = spoil(store.home, monkeypatch)
    asks: list[Callable[[], object]] = [
        store.all,
        lambda: store.load(ID),
        lambda: store.create(record_of()),
        lambda: lock(store.folder(ID)).__enter__(),
        lambda: KeeperClient.at(store.folder(ID)),
    ]
    for ask in asks:
        with pytest.raises(UsageError, match=f"envctl cannot be trusted: {why}") as caught:
            ask()
        assert "chmod go-w" in caught.value.hint
    assert not store.has_any()
    sweep(store.home)
    assert (store.folder(ID) / "instance.json").exists(), "nothing is touched"


@WAYS
def test_the_folder_of_one_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    store = RecordStore(tmp_path / "envctl")
    store.create(record_of())
    other = store.create(record_of(id="u-123456"))
    why = spoil(store.folder(ID), monkeypatch)
    if spoil is not anothers:  # with another user id, the folder of all instances is refused too
        assert store.all() == [other]
        with pytest.raises(UnreadableRecord, match=f"{ID} cannot be trusted: {why}"):
            store.load(ID)
    with pytest.raises(UsageError, match=f"cannot be trusted: {why}"):
        KeeperClient.at(store.folder(ID))


def test_the_place_of_all_may_be_everybodys(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    store = RecordStore(tmp_path / "envctl")
    record = store.create(record_of())
    assert store.all() == [record]
    refuse_foreign(store.home, store.folder(ID), tmp_path / "none")


@WAYS
@pytest.mark.parametrize("part", ["cache", "cache/templates"])
def test_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, part: str) -> None:
    make_folder(tmp_path / "cache" / "templates")
    why = spoil(tmp_path / part, monkeypatch)
    asks: list[Callable[[], object]] = [
        lambda: folders.kept_in(tmp_path / "cache", "templates"),
        lambda: folders.make_passable(tmp_path / "cache", "templates"),
        lambda: templates.prune(tmp_path / "cache", everything=True),
    ]
    for ask in asks:
        with pytest.raises(UsageError, match=f"cannot be trusted: {why}"):
            ask()
