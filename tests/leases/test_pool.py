"""Tests of pools of units: units are prepared in advance, handed out in order, and dropped after use."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from envctl.instance.units import Names
from envctl.leases.budget import Budget
from envctl.leases.pool import FILLERS, FIRST, Exhausted, Pool
from envctl.units import Driver, Size, UnitError
from tests.leases.server import Server
from tests.processes import until


@pytest.fixture
def server() -> Server:
    return Server()


def pool_of(server: Server, limit: int = 8, names: Names = Names("app", "app_seeded"), budget: Budget | None = None) -> Pool:
    pool = Pool(names, server.opened, lambda: None, limit, budget=budget or Budget(Size(1 << 40, 1 << 40)))
    pool.begin()
    return pool


def test_a_unit_is_a_copy_of_the_template_under_a_name_of_its_own(server: Server) -> None:
    pool = pool_of(server)
    first, second = pool.take(5.0), pool.take(5.0)
    assert first != second
    assert first.startswith("app_lease_")
    assert (server.units[first], pool.units[first]) == ("app_seeded", "leased")


def test_a_unit_that_is_a_prefix_stands_beside_the_template(server: Server) -> None:
    unit = pool_of(server, names=Names("", "envctl/seeded/")).take(5.0)
    assert re.fullmatch("envctl/lease-[0-9a-f]{8}/", unit)


def test_what_was_given_back_is_thrown_away_and_never_handed_out_again(server: Server) -> None:
    pool = pool_of(server)
    used = pool.take(5.0)
    pool.give_back(used)
    assert until(lambda: used not in server.units and used not in pool.units)
    assert used not in {pool.take(5.0) for _ in range(5)}


def test_what_is_kept_stays_and_takes_nobodys_place(server: Server) -> None:
    pool = pool_of(server, limit=1)
    kept = pool.take(5.0)
    pool.give_back(kept, keep=True)
    assert pool.take(5.0) != kept
    assert (pool.units[kept], server.units[kept]) == ("kept", "app_seeded")


def test_nobody_gets_more_than_there_may_be(server: Server) -> None:
    pool = pool_of(server, limit=2)
    taken = [pool.take(5.0), pool.take(5.0)]
    with pytest.raises(Exhausted, match=r"no unit of app became free within 0\.05 s: 2 of 2 are leased"):
        pool.take(0.05)
    pool.give_back(taken[0])
    assert pool.take(5.0) not in taken
    assert len(server.units) <= 2


@pytest.mark.parametrize(
    ("most", "each", "scarce"), [((30, 0), (10, 0), "disk"), ((0, 30), (0, 10), "memory"), ((300, 30), (10, 10), "memory")]
)
def test_no_more_is_made_than_the_budget_allows(server: Server, most: tuple[int, int], each: tuple[int, int], scarce: str) -> None:
    server.each = Size(*each)
    pool = pool_of(server, limit=100, budget=Budget(Size(*most)))
    taken = [pool.take(5.0) for _ in range(3)]
    with pytest.raises(Exhausted, match=f"3 are leased, and more would take more {scarce} than"):
        pool.take(0.05)
    pool.give_back(taken[0])
    assert pool.take(5.0) not in taken


def test_one_unit_there_may_be_however_large(server: Server) -> None:
    server.each = Size(disk=100)
    pool = pool_of(server, budget=Budget(Size(10, 10)))
    pool.give_back(pool.take(5.0))
    pool.take(5.0)


def test_pools_share_the_budget_and_what_is_kept_counts(server: Server) -> None:
    server.each, budget = Size(disk=10), Budget(Size(30, 0))
    pool = pool_of(server, budget=budget)
    for _ in range(3):
        pool.give_back(pool.take(5.0), keep=True)
    other = pool_of(server, names=Names("other", "other_seeded"), budget=budget)
    other.take(5.0)
    with pytest.raises(Exhausted, match="disk"):
        other.take(0.05)


def test_a_pool_that_is_closed_takes_no_room(server: Server) -> None:
    server.each, budget = Size(disk=10), Budget(Size(20, 0))
    first = pool_of(server, budget=budget)
    assert until(lambda: len(first.units) == 2)
    first.close()
    assert budget.lacking(Size(disk=20)) == ""
    assert budget.lacking(Size(disk=21)) == "disk"


def test_whoever_had_to_wait_has_more_kept_ready(server: Server) -> None:
    pool = pool_of(server)
    held = [pool.take(5.0) for _ in range(4)]
    for unit in held:
        pool.give_back(unit)
    assert until(lambda: list(pool.units.values()) == ["ready"] * len(pool.units) and len(pool.units) >= 3)


def test_who_asked_first_is_served_first(server: Server) -> None:
    pool = pool_of(server, limit=1)
    held, order = pool.take(5.0), []

    def ask(number: int) -> None:
        unit = pool.take(30.0)
        order.append(number)
        pool.give_back(unit)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        assert until(lambda: len(pool._waiting) > number)  # noqa: B023
    pool.give_back(held)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_a_server_that_refuses_is_asked_again_and_says_why(server: Server) -> None:
    pool = pool_of(server)
    assert until(lambda: list(pool.units.values()) == ["ready"] * FIRST)
    server.refuses = True
    for _ in range(FIRST):
        pool.take(0.05)
    assert until(lambda: bool(pool._troubles))
    with pytest.raises(Exhausted, match="the disk is full"):
        pool.take(0.05)
    server.refuses = False
    assert pool.take(10.0)


def test_logical_databases_are_numbers_that_nobody_else_uses(server: Server) -> None:
    pool = pool_of(server, names=Names("0", "17", ("16", "18")))
    assert {pool.take(5.0), pool.take(5.0)} == {"19", "20"}


def test_many_at_once(server: Server) -> None:
    pool, seen = pool_of(server), []

    def work() -> None:
        for _ in range(25):
            unit = pool.take(30.0)
            seen.append(unit)
            pool.give_back(unit)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) == 400


def test_what_a_lease_has_left_goes_while_nothing_else_does(server: Server) -> None:
    pool, busy, on = pool_of(server), threading.Semaphore(0), threading.Event()
    ended, used = pool.take(5.0), pool.take(5.0)
    assert until(lambda: len(pool._ready) == pool._wanted)  # the target has grown if one of the two requests had to wait
    real_clone, real_drop = server.clone, server.drop

    def slow(do: Callable[[], None]) -> None:
        busy.release()
        assert on.wait(60.0)
        do()

    server.clone = lambda template, unit: slow(lambda: real_clone(template, unit))  # type: ignore[method-assign]
    server.drop = lambda unit: real_drop(unit) if unit == ended else slow(lambda: real_drop(unit))  # type: ignore[method-assign]
    pool.give_back(used)
    pool.take(5.0)
    for _ in range(FILLERS):
        assert busy.acquire(timeout=60.0)
    try:
        pool.expire(ended)
        assert until(lambda: ended not in server.units and ended not in pool.units)
    finally:
        on.set()


def test_what_cannot_go_does_not_keep_the_others(server: Server) -> None:
    pool = pool_of(server)
    stuck, others = [pool.take(5.0) for _ in range(FILLERS)], [pool.take(5.0), pool.take(5.0)]
    real = server.drop

    def drop(unit: str) -> None:
        if unit in stuck:
            raise ZeroDivisionError(unit)
        real(unit)

    server.drop = drop  # type: ignore[method-assign]
    for unit in stuck:
        pool.expire(unit)
    for unit in others:
        pool.give_back(unit)
    assert until(lambda: not set(others) & server.units.keys())
    server.drop = real  # type: ignore[method-assign]
    assert until(lambda: not set(stuck) & server.units.keys())


@pytest.fixture
def unfilled(server: Server) -> Iterator[Pool]:
    """Yield a pool whose filler threads wait for a connection until the test ends; the unit `ended` is leased."""
    on = threading.Event()

    @contextmanager
    def opened() -> Iterator[Driver]:
        if threading.current_thread().name.startswith("pool of"):
            on.wait()
        yield server

    pool = Pool(Names("app", "app_seeded"), opened, lambda: None, units={"ended": "leased"})
    pool.begin()
    assert until(pool._opening.locked)
    yield pool
    on.set()


def test_an_ended_lease_does_not_wait_for_a_connection_that_does_not_come_about(unfilled: Pool) -> None:
    unfilled.expire("ended")
    assert until(lambda: "ended" not in unfilled.units)


def test_what_has_gone_in_the_end_is_no_reason_any_more(unfilled: Pool, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.leases.pool.PAUSE", 0.01)
    real, failed = server.drop, threading.Event()

    def drop(unit: str) -> None:
        if not failed.is_set():
            failed.set()
            raise UnitError("somebody looks at it")
        real(unit)

    server.drop = drop  # type: ignore[method-assign]
    unfilled.expire("ended")
    assert until(lambda: "ended" not in unfilled.units and not unfilled._sweeping)
    assert failed.is_set()
    with pytest.raises(Exhausted, match="0 are leased"):
        unfilled.take(0.05)
