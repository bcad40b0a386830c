"""Objects that a definition adds to an existing namespace never replace objects that do not belong to the instance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from envctl.engines.kubernetes.objects import InstanceObjects
from envctl.errors import UsageError

ADDED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"envctl.instance": "e-123456"}}}


def check(there: dict[str, Any] | None) -> None:
    objects: Any = SimpleNamespace(api=SimpleNamespace(get=lambda *_: there), namespace="theirs")
    InstanceObjects._check_free(objects, ADDED)


def test_what_is_not_there_or_ours_is_applied() -> None:
    check(None)
    check(ADDED)


@pytest.mark.parametrize("labels", [None, {}, {"envctl.instance": "other-123456"}])
def test_what_is_somebody_elses_stays(labels: dict[str, str] | None) -> None:
    with pytest.raises(UsageError, match="the namespace theirs has a ConfigMap a that is not this instance's"):
        check({"metadata": {"name": "a", "labels": labels}})
