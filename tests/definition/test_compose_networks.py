"""Tests of which services can be reached from outside through the networks of a Compose file."""

from __future__ import annotations

import pytest

from envctl.definition.compose_networks import in_doubt, only_internal

NETWORKS = {"vault": {"internal": True}, "open": None, "corp": {"external": True, "name": "corp_net"}, "lan": {"external": True}}


@pytest.mark.parametrize(
    ("joined", "closed", "doubts"),
    [
        ((), False, []),
        (("vault",), True, []),
        (("vault", "open"), False, []),
        (("default",), False, []),
        (("corp",), False, ["corp_net"]),
        (("vault", "corp", "lan"), False, ["corp_net", "lan"]),
        (("open", "corp"), False, []),
    ],
)
def test_only_external_networks_leave_it_open(joined: tuple[str, ...], closed: bool, doubts: list[str]) -> None:
    assert only_internal(joined, NETWORKS) is closed
    assert in_doubt(joined, NETWORKS) == doubts
    if doubts:
        assert only_internal(joined, NETWORKS, doubts)
        assert not only_internal(joined, NETWORKS, doubts[1:])
