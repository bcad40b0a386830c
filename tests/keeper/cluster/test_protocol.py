"""Tests of the paths, errors and events that all connections to the API server share."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.keeper.cluster.protocol import Refused, events, path_of, refusal


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (("v1", "Pod", "ns"), "/api/v1/namespaces/ns/pods"),
        (("v1", "Pod", "ns", "a"), "/api/v1/namespaces/ns/pods/a"),
        (("v1", "Pod"), "/api/v1/pods"),
        (("apps/v1", "Deployment", "ns", "a"), "/apis/apps/v1/namespaces/ns/deployments/a"),
        (("networking.k8s.io/v1", "NetworkPolicy", "ns"), "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies"),
        (("networking.k8s.io/v1", "Ingress", "ns", "a", "ingresses"), "/apis/networking.k8s.io/v1/namespaces/ns/ingresses/a"),
        (("v1", "Namespace", "ns", "ns"), "/api/v1/namespaces/ns"),
    ],
)
def test_paths(given: tuple[str, ...], path: str) -> None:
    assert path_of(*given) == path


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"kind": "Status", "message": "no", "reason": "Forbidden", "details": {"a": 1}}', ("no", "Forbidden", {"a": 1})),
        (b'{"kind": "Status"}', ("HTTP 403", "", {})),
        (b"proxy says no\n", ("proxy says no", "", {})),
        (b"[1]", ("[1]", "", {})),
        (b"", ("HTTP 403", "", {})),
        (b"\xff", ("\ufffd", "", {})),
    ],
)
def test_a_refusal_says_what_the_server_says(body: bytes, told: tuple[str, str, Any]) -> None:
    found = refusal(403, body)
    assert (found.status, str(found), found.reason, found.details) == (403, *told)


def event(what: str, **object_: Any) -> dict[str, Any]:
    return {"type": what, "object": object_}


@given(st.lists(st.integers(min_value=0, max_value=200)))
def test_events_come_whole_however_the_answer_is_cut(cuts: list[int]) -> None:
    told = [event("ADDED", name="a\u00e9"), event("BOOKMARK"), event("MODIFIED", name="b"), event("DELETED", name="c")]
    data = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in told) + b"\n" + b'{"type": "half'
    places = [0, *sorted(cuts), len(data)]
    found = list(events(data[start:end] for start, end in itertools.pairwise(places)))
    assert found == [told[0], told[2], told[3]]


def test_an_error_ends_a_watch() -> None:
    told = [event("ADDED"), event("ERROR", code=410, message="too old"), event("ADDED")]
    with pytest.raises(Refused, match="too old") as caught:
        list(events(json.dumps(each).encode() + b"\n" for each in told))
    assert caught.value.status == 410
