"""A simulated cluster with prepared answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.kubernetes.played import Played, played_cluster


@pytest.fixture
def played() -> Iterator[Played]:
    with played_cluster() as found:
        found.answers["GET /version"] = {"gitVersion": "v1"}
        yield found
