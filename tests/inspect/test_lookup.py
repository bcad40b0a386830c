"""Tests of finding the instance NAME of a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.inspect.lookup import called, not_found, records_here, service_of, try_record
from envctl.instance.identity import instance_id
from envctl.instance.record import Record, ServiceRecord
from envctl.instance.store import RECORD, UnreadableRecord
from envctl.session import Session
from tests.builders import record_of, session_in


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a project and a symbolic link to it; return the project."""
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "envctl.toml").touch()
    (tmp_path / "link").symlink_to("real")
    return tmp_path


def inside(checkout: Path, folder: str) -> Session:
    return session_in(checkout / "state", checkout / folder)


@pytest.fixture
def record(checkout: Path) -> Record:
    real = checkout / "real"
    return inside(checkout, "real").store.create(record_of(name="shop", id=instance_id("shop", real), project=str(real)))


@pytest.mark.parametrize("folder", ["real", "link", "real/below", "link/below"])
def test_an_instance_is_found_from_anywhere_in_its_checkout(checkout: Path, record: Record, folder: str) -> None:
    session = inside(checkout, folder)
    assert try_record(session, "shop") == try_record(session, record.id) == record
    assert records_here(session) == [record]


def test_of_several_with_one_name_the_callers_own_is_meant(checkout: Path, record: Record) -> None:
    real = checkout / "real"
    other = inside(checkout, "real").store.create(record_of(name="shop", id=instance_id("shop", real, "a"), key="a", project=str(real)))
    assert try_record(inside(checkout, "real"), "shop") == record
    assert try_record(session_in(checkout / "state", real, ENVCTL_KEY="a"), "shop") == other
    with pytest.raises(UsageError, match=f"several instances are called 'shop': .*{other.id} \\(key a\\)"):
        try_record(session_in(checkout / "state", real, ENVCTL_KEY="b"), "shop")


def test_anothers_is_found_by_its_id_alone(checkout: Path, record: Record) -> None:
    session = inside(checkout, ".")
    assert try_record(session, record.id) == record
    assert try_record(session, "shop") is None
    assert records_here(session) == []


@pytest.mark.parametrize(("name", "hint"), [("shpo", "did you mean 'shop'?"), ("other", "up here: shop")])
def test_what_is_not_up_is_said_so(checkout: Path, record: Record, name: str, hint: str) -> None:
    session = inside(checkout, "real")
    assert try_record(session, name) is None
    error = not_found(session, name)
    assert str(error).startswith(f"nothing named '{name}' is up in this checkout")
    assert error.hint == hint


def test_where_nothing_is_up_up_is_what_helps(checkout: Path) -> None:
    (checkout / "real/environments").mkdir()
    (checkout / "real/environments/shop.yaml").touch()
    assert not_found(inside(checkout, "real"), "shop").hint == "`envctl up shop` brings it up"
    assert "`envctl list --all` shows" in not_found(inside(checkout, "real"), "other").hint


def test_one_of_another_checkout_is_named_with_what_finds_it_here(checkout: Path, record: Record) -> None:
    here = inside(checkout, ".")
    assert not_found(here, "shop").hint == f"one is up in {checkout}/real: its id {record.id} works here, too"
    assert (called(here, record), called(inside(checkout, "real/below"), record)) == (record.id, "shop")


@pytest.mark.parametrize("folder", ["real", "link"])
@pytest.mark.parametrize("content", ['{"version": 99}', "{", "{}"])
def test_one_that_cannot_be_read_is_not_said_to_be_none(checkout: Path, record: Record, folder: str, content: str) -> None:
    session = inside(checkout, folder)
    (session.store.folder(record.id) / RECORD).write_text(content)
    for name in ("shop", record.id):
        with pytest.raises(UnreadableRecord):
            try_record(session, name)


def test_another_checkouts_that_cannot_be_read_disturbs_nobody(checkout: Path, record: Record) -> None:
    session = inside(checkout, "real")
    other = session.store.folder(instance_id("shop", Path("/elsewhere"))) / RECORD
    other.parent.mkdir()
    other.write_text("{")
    assert try_record(session, "shop") == record
    assert records_here(session) == [record]


def test_a_service_is_one_of_the_instance() -> None:
    record = record_of(services={"orders": ServiceRecord("service")})
    assert service_of(record, "orders") == "orders"
    with pytest.raises(UsageError, match="t has no service 'order'") as caught:
        service_of(record, "order")
    assert caught.value.hint == "did you mean 'orders'?"
