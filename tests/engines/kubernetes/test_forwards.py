"""The state of an instance's port forwards, with a simulated keeper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.kubernetes.forwards import barred
from envctl.session.session import Host

LACKING = 'pods "db-1" is forbidden: User "ci" cannot get resource "pods/portforward" in API group "" in the namespace "n"'


def host(shown: dict[str, Any] | None) -> Host:
    keeper = SimpleNamespace(ask=lambda method, path: (200, shown)) if shown is not None else None
    return cast(Host, SimpleNamespace(keepers=SimpleNamespace(find=lambda _: keeper)))


@pytest.mark.parametrize(
    ("error", "why"), [(LACKING, LACKING), ("", ""), ("timed out", ""), ("pods is forbidden: admission webhook denied the request", "")]
)
def test_a_right_that_is_missing_is_known_by_its_words(error: str, why: str) -> None:
    shown = {"db/main": {"error": ""}, "db/main#probe": {"error": error}, "other/main": {"error": LACKING}}
    assert barred(host(shown), "id", "db") == why


def test_without_a_keeper_nobody_knows() -> None:
    assert barred(host(None), "id", "db") == ""
