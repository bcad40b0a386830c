"""Nothing is removed before what was asked for is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from envctl.process.creation import TearingDown, creating, reopen, settle


@pytest.fixture(autouse=True)
def _open() -> Iterator[None]:
    yield
    reopen()


def test_nothing_is_under_way() -> None:
    assert settle(0.0)


def test_what_is_under_way_is_waited_for() -> None:
    begun, done = threading.Event(), []

    def create() -> None:
        with creating():
            begun.set()
            threading.Event().wait(0.05)
            done.append("created")

    threading.Thread(target=create).start()
    begun.wait(10)
    assert settle(30.0)
    assert done == ["created"]


def test_patience_ends() -> None:
    with creating():
        assert not settle(0.01)


def test_nothing_new_is_begun() -> None:
    settle(0.0)
    with pytest.raises(TearingDown), creating():
        pytest.fail("it was begun")
    assert settle(0.0)


def test_a_failure_is_an_end_too() -> None:
    with pytest.raises(ValueError, match="refused"), creating():
        raise ValueError("refused")
    assert settle(0.0)


def test_the_next_environment_may_be_created() -> None:
    settle(0.0)
    reopen()
    with creating():
        pass
