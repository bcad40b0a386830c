"""The ports and the subnet of an instance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envctl.errors import UsageError
from envctl.instance.allocation import Allocation
from envctl.instance.record import Choices, Record
from envctl.lifecycle.claiming import allocate, recorded
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.session import Session
from tests.builders import environment_of, record_of, setting_of
from tests.lifecycle.listed import ListedEngine

SERVICES = "services: {db: {kind: postgres}, mail: {kind: mail}, worker: {image: x, replicas: 40}}"
DB, SMTP, WEB = ("db", "postgres"), ("mail", "smtp"), ("mail", "web")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    environment = environment_of(tmp_path, SERVICES)
    return make_plan(environment, setting_of(environment, allocation=Allocation()))


def having(ports: dict[tuple[str, str], int], subnet: str | None = None, **asked: int) -> Record:
    return record_of(allocation=Allocation(ports, subnet), choices=Choices(port=asked))


def test_every_port_gets_a_number(session: Session, plan: Plan) -> None:
    assert allocate(session.store, ListedEngine(), plan, record_of(), ()).ports == {DB: 1, SMTP: 2, WEB: 3}


def test_numbers_are_kept_and_those_of_what_is_gone_forgotten(session: Session, plan: Plan) -> None:
    found = allocate(session.store, ListedEngine(), plan, having({SMTP: 2525, ("gone", "main"): 9}), ())
    assert found.ports == {SMTP: 2525, DB: 1, WEB: 2}


def test_a_number_can_be_asked_for(session: Session, plan: Plan) -> None:
    found = allocate(session.store, ListedEngine(), plan, having({DB: 7}, db=5432, mail=25), ())
    assert found.ports == {DB: 5432, SMTP: 25, WEB: 1}


def test_numbers_of_other_instances_are_taken(session: Session, plan: Plan) -> None:
    engine = ListedEngine()
    session.store.create(record_of(id="other-1", allocation=Allocation({("x", "main"): 42})))
    record = session.store.create(having({DB: 7}))
    allocate(session.store, engine, plan, record, ())
    ((_, kept, taken, _),) = engine.asked
    assert taken == {42}
    assert kept.ports == {DB: 7}


@pytest.mark.parametrize("service", ["worker", "dbb"])
def test_a_service_without_a_port_has_no_number(session: Session, plan: Plan, service: str) -> None:
    with pytest.raises(UsageError, match=f"--port {service}=1: there is no such service with a port"):
        allocate(session.store, ListedEngine(), plan, having({}, None, **{service: 1}), ())


def test_a_subnet_has_room_for_every_container(session: Session, plan: Plan) -> None:
    engine = ListedEngine()
    allocate(session.store, engine, plan, having({}, "mine"), ["a"])
    ((wanted, kept, _, refused),) = engine.asked
    assert (wanted.containers, kept.subnet, refused) == (42, "mine", ["a"])


def test_what_a_later_release_keeps_with_them_stays(session: Session, plan: Plan) -> None:
    record = record_of(allocation=Allocation({DB: 7}, unknown={"later": 1}))
    assert allocate(session.store, ListedEngine(), plan, record, ()).unknown == {"later": 1}


def test_what_a_later_release_keeps_with_an_endpoint_stays(plan: Plan) -> None:
    plan = plan.with_allocation(Allocation({DB: 1, SMTP: 2, WEB: 3}))
    before = recorded(record_of(), plan)
    db = before.services["db"]
    endpoints = {name: replace(endpoint, port=9, unknown={"later": 1}) for name, endpoint in db.endpoints.items()}
    found = recorded(replace(before, services={**before.services, "db": replace(db, endpoints=endpoints)}), plan)
    assert [(endpoint.port, endpoint.unknown) for endpoint in found.services["db"].endpoints.values()] == [(1, {"later": 1})]
