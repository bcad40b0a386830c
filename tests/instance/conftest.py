from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.instance.store import RecordStore


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "envctl"


@pytest.fixture
def store(home: Path) -> RecordStore:
    return RecordStore(home)


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Run the test as another user, because root may write everywhere; let this user enter pytest's folders above the test's."""
    if os.geteuid():
        yield
        return
    os.chown(tmp_path, 65534, 65534)
    before = [(folder, folder.stat().st_mode) for folder in tmp_path.parents if folder.stat().st_mode & 0o011 != 0o011]
    for folder, mode in before:
        folder.chmod(mode | 0o011)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    for folder, mode in before:
        folder.chmod(mode)
