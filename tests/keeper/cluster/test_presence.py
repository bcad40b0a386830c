"""Tests of detecting that another machine has removed an instance."""

from __future__ import annotations

import functools
import threading
from typing import Any

import pytest

from envctl.keeper.cluster import presence
from envctl.keeper.cluster.presence import Presence
from envctl.keeper.cluster.protocol import Refused
from tests.processes import until

ANSWERS = list[Any]


class Told:
    """A fake API server that gives each answer once and then repeats the last one; an answer is a uid or an exception."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    def fetch(self, path: str) -> Any:
        assert path == "/api/v1/namespaces/ns/secrets/one-123456-instance"
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return {"metadata": {"uid": answer}}


MISSING, FORBIDDEN = Refused(404, "not found"), Refused(403, "you may not")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "EVERY", 0.01)


@pytest.mark.parametrize(
    ("answers", "gone"),
    [
        (["a", "a", MISSING], True),
        (["a", "a", "b"], True),
        (["a", OSError("no route"), Refused(500, "etcd"), MISSING], True),
        ([MISSING], False),
        ([FORBIDDEN], False),
        (["a", FORBIDDEN], False),
    ],
    ids=["removed", "another one", "nobody could look", "never there", "nobody may look", "not any more"],
)
def test_gone_is_what_was_there_and_is_not_any_more(answers: ANSWERS, gone: bool) -> None:
    ended: list[bool] = []
    found = Presence(Told(*answers).fetch, "ns", "one-123456", lambda: True)
    found.follow(lambda: ended.append(True))
    assert (found.gone, ended) == (gone, [True] * gone)


def test_an_earlier_keeper_has_seen_it() -> None:
    found = Presence(Told(MISSING).fetch, "ns", "one-123456", lambda: True, seen=True)
    found.follow(lambda: None)
    assert found.gone


def test_while_there_are_pods_it_is_asked_for_only_in_doubt() -> None:
    told = Told("a", "a", MISSING)
    found = Presence(told.fetch, "ns", "one-123456", lambda: False)
    thread = threading.Thread(target=found.follow, args=(lambda: None,))
    thread.start()
    for asked in (1, 2):
        until(functools.partial(lambda asked: told.asked == asked, asked))
        threading.Event().wait(0.05)
        assert told.asked == asked
        found.doubt()
    thread.join(20)
    assert found.gone


def test_it_can_be_stopped() -> None:
    found = Presence(Told("a").fetch, "ns", "one-123456", lambda: False)
    thread = threading.Thread(target=found.follow, args=(lambda: None,))
    thread.start()
    found.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert not found.gone
