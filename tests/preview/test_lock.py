"""Tests of which run may change a preview, with a fake API: versions, older and newer runs, dead holders, closed previews."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import cast

import pytest

from envctl.engines.kubernetes.api import Api
from envctl.errors import EnvctlError, Interrupted, OutOfTime
from envctl.preview import lease_renewal
from envctl.preview import lock as module
from envctl.preview.lease_renewal import working
from envctl.preview.lock import Claim, Lock, Locks, Superseded, lease_of, lock_of
from envctl.preview.pull_request import PullRequest
from envctl.process import signals
from tests.preview.leases import Leases

ID, REPOSITORY = "pr-17-123456", "github.com/o/r"


@pytest.fixture
def leases() -> Leases:
    return Leases()


def claim(leases: Leases, run: int | None, head: str = "", closing: bool = False) -> Claim:
    request = PullRequest(REPOSITORY, 17, head, (run, 1) if run is not None else None, f"https://ci/{run}" if run else "")
    return Claim(Locks(cast(Api, leases), "locks"), ID, request, closing)


def acquire(wanted: Claim, pause: Callable[[float], None] | None = None) -> Lock:
    def never(seconds: float) -> None:
        raise AssertionError("it waits")

    return wanted.acquire(time.monotonic() + 60, pause or never)


def test_what_is_written_is_what_is_read() -> None:
    lock = Lock(ID, f"{REPOSITORY}#17", "me", (12, 3), "https://ci/12", "abc", True, "me", 1_700_000_000.5, "it\nfailed", "7")
    assert lock_of(lease_of(lock, "locks")) == lock


def test_a_newer_run_waits_for_the_older_one_which_is_asked_to_end(leases: Leases) -> None:
    older, newer = claim(leases, 10, "aaaa"), claim(leases, 11, "bbbb")
    acquire(older)
    assert older.renew() == ""
    seen: list[str] = []

    def meanwhile(seconds: float) -> None:
        seen.append(older.renew())
        older.release()

    assert acquire(newer, meanwhile).holder == newer.identity
    assert seen == ["superseded by https://ci/11 (bbbb)"]
    assert newer.renew() == ""


def test_of_two_that_wait_the_newest_wins(leases: Leases) -> None:
    first, second, third = claim(leases, 10), claim(leases, 11), claim(leases, 12)
    acquire(first)

    def third_comes(seconds: float) -> None:
        with pytest.raises(OutOfTime):
            third.acquire(time.monotonic() - 1)

    with pytest.raises(Superseded, match="superseded by https://ci/12"):
        acquire(second, third_comes)
    first.release()
    assert acquire(third).holder == third.identity


@pytest.mark.parametrize("released", [True, False])
def test_an_older_run_changes_nothing(leases: Leases, released: bool) -> None:
    newer = claim(leases, 11, "bbbb")
    acquire(newer)
    if released:
        newer.release()
    before = dict(leases.items)
    for closing in (False, True):
        with pytest.raises(Superseded, match=r"superseded by https://ci/11 \(bbbb\)"):
            acquire(claim(leases, 10, "aaaa", closing))
    assert leases.items == before


def test_one_that_has_died_is_taken_over(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(claim(leases, 10))
    monkeypatch.setattr(time, "time", lambda now=time.time(): now + module.LASTS + 1)
    newer = claim(leases, 11)
    assert acquire(newer).holder == newer.identity


def test_after_the_close_older_runs_come_too_late_and_newer_ones_open_it_again(leases: Leases) -> None:
    closing = claim(leases, 12, closing=True)
    assert acquire(closing).closed
    closing.release()
    for run in (11, 12):
        with pytest.raises(Superseded, match="closed by https://ci/12"):
            acquire(claim(leases, run))
    again = claim(leases, 13)
    assert not acquire(again).closed
    again.release()
    with pytest.raises(Superseded):
        acquire(claim(leases, 12, closing=True))


def test_somebody_at_a_desk_is_the_newest(leases: Leases) -> None:
    runs = claim(leases, 12)
    acquire(runs)
    runs.release()
    desk = claim(leases, None)
    acquire(desk)
    desk.release()
    acquire(claim(leases, 12, closing=True)).closed  # noqa: B018  the lock keeps the order of the run
    with pytest.raises(Superseded):
        acquire(claim(leases, 11))


def test_two_that_write_at_once_do_not_both_have_it(leases: Leases) -> None:
    one, two = claim(leases, 10), claim(leases, 11)
    read = one.locks.read(ID) or Lock(ID, one.request.key)
    acquire(two)
    assert one.locks.write(read) is None
    with pytest.raises(Superseded):
        acquire(one)


def test_what_it_ended_with_is_kept_until_the_next_one_begins(leases: Leases) -> None:
    first = claim(leases, 10)
    acquire(first)
    first.release("db: it died")
    kept = first.locks.read(ID)
    assert kept is not None
    assert (kept.error, kept.holder) == ("db: it died", "")
    assert acquire(claim(leases, 11)).error == ""


def test_a_lock_that_is_gone_ends_who_has_it(leases: Leases) -> None:
    mine = claim(leases, 10)
    acquire(mine)
    leases.items.clear()
    assert mine.renew() == "its lock was removed"
    mine.release()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_who_could_not_look_does_not_work(leases: Leases, status: int) -> None:
    leases.refuses = status
    with pytest.raises(EnvctlError, match="the locks of previews in the namespace locks"):
        acquire(claim(leases, 10))


def test_locks_of_other_repositories_and_foreign_leases_are_not_listed(leases: Leases) -> None:
    acquire(claim(leases, 10))
    leases.items["other"] = lease_of(Lock("other", "github.com/o/r2#17"), "locks")
    leases.items["leader"] = {"metadata": {"name": "leader"}, "spec": {"renewTime": "nonsense"}}
    assert [lock.id for lock in Locks(cast(Api, leases), "locks").all(REPOSITORY)] == [ID]


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), Interrupted("interrupted; what was up before is still up")])
def test_who_is_ended_by_a_newer_run_says_so(leases: Leases, monkeypatch: pytest.MonkeyPatch, stopped: BaseException) -> None:
    """`down` ends with the signal itself; `up` ends with a message about the instance."""
    asked = threading.Event()
    monkeypatch.setattr(lease_renewal, "EVERY", 0.001)
    monkeypatch.setattr(signals, "ask_to_stop", lambda over: asked.set())
    mine = claim(leases, 10, closing=True)

    def work() -> None:
        with pytest.raises(OutOfTime):
            claim(leases, 11, "bbbb").acquire(time.monotonic() - 1)
        assert asked.wait(60)
        raise stopped

    with pytest.raises(Superseded, match=r"superseded by https://ci/11 \(bbbb\)"), working(mine, time.monotonic() + 60, str):
        work()


def test_ctrl_c_stays_ctrl_c(leases: Leases) -> None:
    mine = claim(leases, 10)
    with pytest.raises(KeyboardInterrupt), working(mine, time.monotonic() + 60, str):
        raise KeyboardInterrupt
    lock = mine.locks.read(ID)
    assert lock is not None
    assert lock.holder == ""
