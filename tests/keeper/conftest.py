from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper.keepers import Keeper, keeper


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Keeper]:
    """A keeper without an owner, and without an end."""
    with keeper(tmp_path / "state") as running:
        yield running
