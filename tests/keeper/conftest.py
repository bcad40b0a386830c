from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper.keepers import Keeper, keeper


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Keeper]:
    """Yield a keeper without an owner and without an expiry."""
    with keeper(tmp_path / "state") as running:
        yield running
