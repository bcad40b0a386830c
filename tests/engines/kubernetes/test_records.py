"""Records in Secrets, which other programs may have changed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from envctl.engines.kubernetes.records import KEY, read
from envctl.instance import labels
from envctl.keeper.cluster.presence import record_name

ID = "t-123456"
GOOD = {"id": ID, "project": "/p", "version": 1, "forwards": [{"a": 1}]}


def secret(content: str, name: str = record_name(ID), id: str = ID) -> dict[str, Any]:
    meta = {"name": name, "labels": {labels.INSTANCE: id}, "annotations": {labels.PROJECT: "/p"}}
    return {"metadata": meta, "data": {KEY: base64.b64encode(content.encode()).decode()}}


def test_a_record_is_read() -> None:
    found = read(secret(json.dumps(GOOD)))
    assert found is not None
    assert (found.document, found.access) == ({"id": ID, "project": "/p", "version": 1}, [{"a": 1}])


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps(GOOD | {"project": 1}), json.dumps(GOOD | {"forwards": None})])
def test_a_damaged_one_is_there_though_it_says_nothing(content: str) -> None:
    """A caller that reads the record then learns that the record is damaged."""
    found = read(secret(content))
    assert found is not None
    assert (found.document, found.access) == ({"id": ID, "project": "/p"}, [])


@pytest.mark.parametrize(
    "found",
    [
        secret(json.dumps(GOOD | {"id": "other-123456"})),
        secret("{", name="something"),
        secret("{", name=record_name("../x"), id="../x"),
    ],
    ids=["another's", "another Secret", "no id"],
)
def test_what_is_no_record_of_that_instance_is_none(found: dict[str, Any]) -> None:
    assert read(found) is None
