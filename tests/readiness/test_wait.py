from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tenacity import RetryCallState

from envctl.readiness import LoginRefused, NotReady, Target, wait
from envctl.readiness.wait import KEPT, History, probe_named, wait_until_ready

Probe = Callable[[Target], None]
TARGET = Target("h", 1)


def never(state: RetryCallState) -> bool:
    return False


def after(attempts: int) -> Callable[[RetryCallState], bool]:
    return lambda state: state.attempt_number >= attempts


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace `time.sleep`; return the seconds of each call."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def answering(monkeypatch: pytest.MonkeyPatch, **answers: list[Exception | None]) -> list[str]:
    """Replace the probes: each gives its answers in order and then succeeds. Return the names of the probes that run."""
    asked: list[str] = []

    def named(name: str) -> Probe:
        def probe(target: Target) -> None:
            asked.append(name)
            answer = answers[name].pop(0) if answers[name] else None
            if answer is not None:
                raise answer

        return probe

    monkeypatch.setattr(wait, "probe_named", named)
    return asked


def waited(*names: str, given_up: Callable[[RetryCallState], bool] = never, **more: Any) -> History:
    history = History()
    wait_until_ready([(name, TARGET) for name in names], history, given_up, **more)
    return history


def seen(history: History) -> list[str]:
    return [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in history.shown()]


def test_ready_is_two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, a=[])
    assert waited("a").lines == []
    assert asked == ["a", "a"]


def test_a_relapse_between_the_passes_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, a=[None, NotReady("restarting"), None])
    assert seen(waited("a")) == ["a: restarting"]
    assert asked == ["a"] * 3


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ([LoginRefused("a"), LoginRefused("b")], True),
        ([LoginRefused("a"), NotReady("b")], False),
        ([NotReady("a"), LoginRefused("b")], True),
    ],
)
def test_only_refusals_without_a_break_count(monkeypatch: pytest.MonkeyPatch, answers: list[Exception | None], refused: bool) -> None:
    answering(monkeypatch, a=answers)
    history = History()
    with pytest.raises(NotReady):
        wait_until_ready([("a", TARGET)], history, after(2))
    assert (history.refused is not None) is refused
    assert (history.refused_seconds > 0) is refused


def test_every_check_must_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, a=[], b=[NotReady("no")])
    waited("a", "b")
    assert asked == ["a", "b"] * 3


def test_the_history_says_what_the_probes_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    answering(monkeypatch, a=[refused, ConnectionRefusedError(111, "Connection refused"), NotReady("starting"), TimeoutError(), refused])
    assert seen(waited("a")) == [
        "a: [Errno 111] Connection refused  (2 times)",
        "a: starting",
        "a: TimeoutError",
        "a: [Errno 111] Connection refused",
    ]


def test_no_checks_pass() -> None:
    assert waited().lines == []


def test_giving_up_says_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, a=[NotReady("one"), NotReady("two"), NotReady("three")])
    with pytest.raises(NotReady, match="a: two"):
        waited("a", given_up=after(2))
    assert len(asked) == 2


def test_any_other_error_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, a=[KeyError("bug")])
    with pytest.raises(KeyError):
        waited("a")
    assert len(asked) == 1


def test_pauses_are_short_at_first_and_never_long(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    answering(monkeypatch, a=[NotReady("x") for _ in range(20)])
    waited("a", passes=1)
    assert slept[0] == wait.FIRST_WAIT
    assert slept == sorted(slept)
    assert slept[-1] == wait.LONGEST_WAIT


def test_a_history_keeps_the_last_lines() -> None:
    history = History()
    for number in range(20):
        history.add(str(number))
    assert seen(history) == [str(number) for number in range(20 - KEPT, 20)]
    assert all(re.match(r" *\d+\.\d\d s  ", line) for line in history.shown())


@pytest.mark.parametrize("name", ["tcp", "http", "log", "command", "health", "postgres"])
def test_a_probe_is_found_by_its_name(name: str) -> None:
    assert probe_named(name).__module__ == f"envctl.readiness.{name}"
