from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.preview.github import Api


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    found.server.shutdown()
    found.server.server_close()
