"""An `up` that finds out that another machine is making the instance, and continues with that machine's instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from envctl.engines import Engine, MadeElsewhere
from envctl.errors import Interrupted, OutOfTime, UsageError
from envctl.instance.record import InstanceState
from envctl.lifecycle import up
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.events import Events
from envctl.lifecycle.failed import ended
from envctl.lifecycle.options import UpOptions
from envctl.session import Session
from tests.builders import plan_with
from tests.lifecycle.listed import ListedEngine, saved

DONE = object()


def tries(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[bool]:
    """Make the attempts of `up` end with *answers*; return a list of whether each attempt looks on other machines first."""
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


class Shared(ListedEngine):
    """A cluster on which nothing has been created yet."""

    @contextmanager
    def alone(self, *words: Any, new: bool) -> Iterator[None]:
        yield None


@pytest.mark.parametrize(("created", "removed"), [(False, 0), (True, 1)])
def test_who_has_made_nothing_removes_nothing(session: Session, created: bool, removed: int) -> None:
    engine, record = Shared(), saved(session, state=InstanceState.STARTING, engine="kubernetes")
    run = Run(session, record, plan_with(), Events([]), 0.0)
    if created:
        with run.in_flight.creating():
            pass
    told = ended(run, cast(Engine, engine), UpOptions("t"), InstanceState.STARTING, False, KeyboardInterrupt())
    assert isinstance(told, Interrupted)
    assert len(engine.removed) == removed
    assert session.store.all() == []
