from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.plan.make import make_plan
from envctl.plan.model import Plan, Selection
from envctl.plan.transforms.select import needed_by, select
from tests.builders import environment_of, setting_of

SHOP = """
services:
  db:
    kind: postgres
    seed:
      - {command: migrate, in: tools, needs: [cache]}
  cache: {kind: valkey}
  tools: {image: x}
  payments: {kind: api, build: app, port: 8080, env: {KEY: x}}
  orders: {kind: api, image: x, port: 80, env: {DB: "${db.url}", PAY: "${payments.url}"}, needs: {mail: started, page: none}}
  mail: {kind: mail}
  page: {image: x, port: 81, env: {ORDERS: "${orders.outside.url}"}}
  alone: {image: x, ports: {a: 1, b: 2}}
outputs:
  ORDERS_URL: ${orders.url}
  PAGE_URL: "${page.url}"
  BOTH: "${orders.url} ${page.url}"
  FIXED: x
tests:
  api: run ${orders.url}
  e2e: [run, "${page.url}"]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("selection")
    files = {"app/Dockerfile": "FROM x", "stubs/payments.json": "{}", "stubs/page/a.json": "{}"}
    return environment_of(folder, SHOP, files)


def selected(shop: Environment, **options: Any) -> Environment:
    return select(shop, Selection(**options))


def planned(environment: Environment) -> Plan:
    return make_plan(environment, setting_of(environment))


def test_nothing_selected_changes_nothing(shop: Environment) -> None:
    assert selected(shop) == shop


# --only


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["alone"], {"alone"}),
        (["db"], {"db", "cache", "tools"}),
        (["orders"], {"orders", "db", "cache", "tools", "payments", "mail"}),
        (["page"], {"page", "orders", "db", "cache", "tools", "payments", "mail"}),
        (["alone", "cache"], {"alone", "cache"}),
    ],
)
def test_only_takes_what_is_needed_along(shop: Environment, only: list[str], expected: set[str]) -> None:
    found = selected(shop, only=only)
    assert found.definition.services.keys() == expected
    assert set(planned(found).services) == expected


def test_outputs_and_tests_of_what_is_left_out_are_left_out(shop: Environment) -> None:
    found = selected(shop, only=["orders"]).definition
    assert found.outputs is not None
    assert list(found.outputs) == ["ORDERS_URL", "FIXED"]
    assert list(found.tests) == ["api"]


def test_what_somebody_elses_server_needs_is_left_out(shop: Environment) -> None:
    found = selected(shop, only=["orders"], use={"db": "postgresql://u:p@db.corp/x"})
    assert set(planned(found).services) == {"orders", "payments", "mail"}
    assert found.used == {"db": "postgresql://u:p@db.corp/x"}


def test_what_runs_elsewhere_and_is_not_needed_is_forgotten(shop: Environment) -> None:
    assert selected(shop, only=["alone"], use={"db": "postgresql://db.corp/x"}).used == {}


def test_a_stub_needs_nothing(shop: Environment) -> None:
    assert set(selected(shop, only=["page"], stub=["orders"]).definition.services) == {"page", "orders"}


def test_what_a_readiness_check_names_is_needed_too(tmp_path: Path) -> None:
    text = "services: {a: {kind: api, image: x, port: 1, ready: {http: '/?of=${b.name}'}}, b: {kind: postgres}}"
    assert set(selected(environment_of(tmp_path, text), only=["a"]).definition.services) == {"a", "b"}


def test_a_cycle_ends_somewhere(tmp_path: Path) -> None:
    text = "services: {a: {image: x, needs: {b: started}}, b: {image: x, needs: [a, c]}, c: {image: x}, d: {image: x}}"
    assert set(selected(environment_of(tmp_path, text), only=["a"]).definition.services) == {"a", "b", "c"}


# --stub


@pytest.mark.parametrize(
    ("name", "routes", "port"),
    [("payments", "stubs/payments.json", 8080), ("page", "stubs/page", 81), ("alone", None, 1), ("tools", None, 8080)],
)
def test_a_stub_stands_on_the_same_port(shop: Environment, name: str, routes: str | None, port: int) -> None:
    found = selected(shop, stub=[name])
    stub = found.definition.services[name]
    assert stub.kind == "stub"
    assert stub.with_.get("routes") == routes
    assert next(iter(planned(found).services[name].ports)).number == port


# --image


def test_an_image_is_taken_instead_of_building(shop: Environment) -> None:
    found = planned(selected(shop, image={"payments": "corp/payments:2"})).services["payments"]
    assert (found.image, found.build) == ("corp/payments:2", None)


# Mistakes


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"only": ["ordres"]}, "--only ordres: there is no such service", "did you mean 'orders'?"),
        ({"stub": ["zzz"]}, "--stub zzz: there is no such service", "known: alone, cache, db, mail, orders, page, payments, tools"),
        ({"use": {"mial": "smtp://h"}}, "--use mial: there is no such service", "did you mean 'mail'?"),
        ({"image": {"page2": "x"}}, "--image page2: there is no such service", "did you mean 'page'?"),
        (
            {"use": {"db": "localhost:5432"}},
            "--use db=localhost:5432: not a URL",
            "e.g. --use db=postgresql://user:password@127.0.0.1:5432/db",
        ),
        ({"use": {"db": ""}}, "--use db=: not a URL", ""),
        ({"use": {"db": "postgresql://h:54x/d"}}, "--use db=postgresql://h:54x/d: not a URL", ""),
        ({"use": {"db": "http://[::1/"}}, "--use db=http://[::1/: not a URL", ""),
    ],
)
def test_mistakes(shop: Environment, options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        selected(shop, **options)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)
    assert caught.value.exit_code == 2


def test_who_is_needed(shop: Environment) -> None:
    services = shop.definition.services
    names = list(services)
    assert sorted(needed_by(services["orders"], names)) == ["db", "mail", "payments"]
    assert sorted(needed_by(services["db"], names)) == ["cache", "tools"]
    assert needed_by(services["alone"], names) == []
