"""Tests of leases: which test holds which unit until when, also after the helper was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.instance.record import DataRecord, Record, ServiceRecord
from envctl.instance.units import PLACEHOLDER, Names, Unit
from envctl.leases.leases import Leases
from envctl.leases.pool import FILLERS, Exhausted
from tests.builders import record_of
from tests.leases.server import Server
from tests.processes import until

UNIT = Unit("postgres", (Names("app", "app_seeded"), Names("audit", "audit_seeded")), properties={"url": f"postgresql://h/{PLACEHOLDER}"})
SERVICES = {
    "db": ServiceRecord("postgres", unit=UNIT),
    "mail": ServiceRecord("mail", unit=Unit("mail")),
    "bus": ServiceRecord("nats", unit=Unit("nats", (Names("", "", ("envctl-lane1",)),))),
    "api": ServiceRecord("api"),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr("envctl.leases.leases.opened", server.opened)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "i").mkdir()
    return tmp_path / "i"


def record(data_id: str = "1") -> Record:
    return record_of(services=SERVICES, data={"db": DataRecord(data_id, units=("app_seeded", "audit_seeded"))})


def test_a_lease_has_the_properties_of_its_unit(server: Server, folder: Path) -> None:
    leases = Leases(folder, record)
    taken = leases.take("db")
    unit = taken["properties"]["url"].rpartition("/")[2]
    assert (taken["service"], server.units[unit]) == ("db", "app_seeded")
    assert leases.shown() == [taken]
    given = leases.give_back(taken["id"])
    assert given == {**taken, "kept": False}
    assert leases.shown() == []
    assert leases.give_back(taken["id"]) is None


def test_one_of_several_is_named(server: Server, folder: Path) -> None:
    taken = Leases(folder, record).take("db", "audit")
    assert server.units[taken["properties"]["url"].rpartition("/")[2]] == "audit_seeded"


@pytest.mark.parametrize(
    ("service", "name", "message"),
    [
        ("bd", None, "there is no service 'bd'"),
        ("db", "autid", "db has no 'autid'"),
        ("mail", None, "mail cannot be leased"),
        ("bus", None, "bus cannot be leased"),
        ("api", None, "api cannot be leased"),
    ],
)
def test_what_cannot_be_leased_is_said(server: Server, folder: Path, service: str, name: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Leases(folder, record).take(service, name)


def test_where_nothing_was_kept_that_is_said(server: Server, folder: Path) -> None:
    with pytest.raises(UsageError, match="the seeded data was not kept"):
        Leases(folder, lambda: record_of(services=SERVICES, data={"db": DataRecord("1")})).take("db")


def test_a_lease_ends_with_its_time(server: Server, folder: Path) -> None:
    leases = Leases(folder, record)
    leases.take("db", ttl=0.05)
    assert until(lambda: not leases.shown())


def test_a_lease_ends_with_the_process_that_has_it(server: Server, folder: Path) -> None:
    leases = Leases(folder, record)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        leases.take("db", pid=process.pid)
        mine = leases.take("db", pid=os.getpid())
        assert len(leases.shown()) == 2
    assert until(lambda: leases.shown() == [mine])


def test_what_is_handed_out_stays_so_when_the_helper_is_killed(server: Server, folder: Path) -> None:
    before = Leases(folder, record)
    taken, kept = before.take("db"), before.take("db")
    before.give_back(kept["id"], keep=True)
    for pool in before._pools.values():
        pool.close()  # as if the helper had been killed
    after = Leases(folder, record)
    assert after.shown() == [taken]
    held = {each["properties"]["url"].rpartition("/")[2] for each in (taken, kept)}
    assert after.take("db")["properties"]["url"].rpartition("/")[2] not in held
    assert until(lambda: set(after._pools["db", "app"].units) >= held)
    assert held <= server.units.keys()


def test_what_was_not_told_to_anybody_is_thrown_away(server: Server, folder: Path) -> None:
    before = Leases(folder, record)
    unit = before.take("db")["properties"]["url"].rpartition("/")[2]
    for pool in before._pools.values():
        pool.close()
    before._leases.clear()
    before._save()  # as if the helper had been killed before it saved the lease
    after = Leases(folder, record)
    assert after.shown() == []
    assert until(lambda: unit not in server.units)


def test_after_a_kill_what_leases_have_left_is_thrown_away_before_what_nobody_had(server: Server, folder: Path) -> None:
    before = Leases(folder, record)
    before.take("db")
    used = {"ended": "dirty", "used": "leased", "going": "going", "over": "over"}
    for pool in before._pools.values():
        pool.close()
        pool.units = {"spare": "ready", "half": "making", "more": "ready", **used}
    before._leases.clear()
    before._save()
    server.units = {}
    on, dropped = threading.Event(), []

    def drop(unit: str) -> None:
        if unit not in used:
            on.wait(60.0)
        dropped.append(unit)

    server.drop = drop  # type: ignore[method-assign]
    Leases(folder, record)
    try:
        assert until(lambda: set(dropped) == set(used))
    finally:
        on.set()


def test_a_server_that_was_made_anew_has_none_of_the_units_of_before(server: Server, folder: Path) -> None:
    now = ["1"]
    leases = Leases(folder, lambda: record(now[0]))
    leases.take("db")
    now[0] = "2"
    again = leases.take("db")
    assert leases.shown() == [again]


def test_a_file_that_is_damaged_is_no_lease(server: Server, folder: Path) -> None:
    (folder / "leases.json").write_text("{")
    assert Leases(folder, record).shown() == []


def test_leases_go_on_after_a_disk_was_full_for_a_while(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.leases.pool.PAUSE", 0.01)
    leases = Leases(folder, record)
    first, second = leases.take("db"), leases.take("db")
    failed = set()

    def full(*_: object) -> None:
        failed.add(threading.current_thread().name)
        raise OSError("no space left on device")

    (pool,) = leases._pools.values()
    real, pool.changed = pool.changed, full
    leases._leases[first["id"]] = leases._leases[first["id"]]._replace(ends=0.0)
    while "pool of app" not in failed:  # until the pool has failed to create a unit
        with suppress(Exhausted):
            leases.take("db", patience=0.05)
    assert until(lambda: first not in leases.shown())
    pool.changed = real
    leases._leases[second["id"]] = leases._leases[second["id"]]._replace(ends=0.0)
    assert until(lambda: second not in leases.shown())
    assert until(
        lambda: not {first["properties"]["url"].rpartition("/")[2], second["properties"]["url"].rpartition("/")[2]} & server.units.keys()
    )
    ready = len(pool._ready)
    for _ in range(ready + FILLERS + 1):
        leases.take("db", patience=30.0)
