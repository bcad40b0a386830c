from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.instance.identity import ID, instance_id, user_name

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True)


@given(NAMES)
def test_an_id_fits_everywhere(name: str) -> None:
    found = instance_id(name, Path("/p"))
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{6}", found)
    assert ID.fullmatch(found)


def test_an_id_is_of_name_and_project() -> None:
    assert instance_id("My_Shop", Path("/p")).startswith("my-shop-")
    assert instance_id("a", Path("/p")) == instance_id("a", Path("/p"))
    assert instance_id("a", Path("/p")) != instance_id("a", Path("/q"))


def test_a_project_behind_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert instance_id("a", tmp_path / "link") == instance_id("a", tmp_path / "real")


@pytest.mark.parametrize("other", ["getpass.getuser", "envctl.instance.identity.machine_id"])
def test_an_id_is_of_user_and_machine(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    before = instance_id("a", Path("/p"))
    monkeypatch.setattr(other, lambda: "somebody else")
    assert instance_id("a", Path("/p")) != before


def test_a_key_stands_for_folder_user_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = instance_id("a", Path("/p"), "github.com/owner/repo#17")
    monkeypatch.setattr("envctl.instance.identity.machine_id", lambda: "another")
    assert instance_id("a", Path("/q"), "github.com/owner/repo#17") == before
    assert instance_id("a", Path("/p"), "github.com/owner/repo#18") != before


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(error()))
    assert user_name().isdecimal()
