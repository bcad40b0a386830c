"""An `up` that finds out that another machine makes the instance: it goes on as what is there."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.engines import MadeElsewhere
from envctl.errors import OutOfTime, UsageError
from envctl.lifecycle import up
from envctl.lifecycle.options import UpOptions
from envctl.session import Session

DONE = object()


def tries(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[bool]:
    """Whether each try looked for the instance elsewhere first."""
    left, found = list(answers), list[bool]()

    def once(*arguments: Any) -> Any:
        found.append(arguments[-1])
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(up, "_up", once)
    return found


def test_it_looks_for_the_other_ones(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tries(monkeypatch, MadeElsewhere("one"), MadeElsewhere("two"), DONE)
    assert up.up(session, UpOptions("t")) is DONE
    assert found == [False, True, True]


@pytest.mark.parametrize(("owner", "fresh"), [("me", False), ("", True)])
def test_what_is_to_be_its_own_cannot_be_the_other_ones(session: Session, monkeypatch: pytest.MonkeyPatch, owner: str, fresh: bool) -> None:
    found = tries(monkeypatch, MadeElsewhere("another machine is bringing t up"))
    with pytest.raises(UsageError, match="another machine is bringing t up") as caught:
        up.up(session, UpOptions("t", fresh=fresh), owner=owner)
    assert "--name or --key" in str(caught.value.hint)
    assert found == [False]


def test_it_ends_with_its_time(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    tries(monkeypatch, MadeElsewhere("one"))
    with pytest.raises(OutOfTime, match="out of time after -1 s: one"):
        up.up(session, UpOptions("t", timeout=-1))
