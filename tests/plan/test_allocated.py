"""A plan is made once, without ports; its ports and subnet are filled in afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.instance.allocation import Allocation
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.render.compose import compose_yaml, render_compose
from tests.builders import FIRST_PORT, environment_of, ports_of, setting_of

TEXT = """
services:
  db: {kind: postgres, seed: [{sql: schema}, {csv: rows.csv, into: rows}, {command: 'x ${self.url}', in: host}]}
  bus: {kind: kafka}
  web: {build: ./web, port: 80, replicas: 3, env: {DB: "${db.url}", ME: "${self.outside.url}"}, env_file: web.env, files: {/etc/: web}}
outputs: {WEB: "${web.url}", PORTS: "${db.ports}"}
tests: {api: "curl ${web.url}"}
"""
FILES: dict[str, str | bytes] = {
    "schema/1.sql": "a;", "rows.csv": "id\n1\n", "web/Dockerfile": "FROM x\n", "web/a/b.txt": "text", "web.env": "X=1\n",
}  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return environment_of(tmp_path, TEXT, FILES)


def without_ports(environment: Environment, **changes: Any) -> Plan:
    return make_plan(environment, setting_of(environment, **{"allocation": Allocation(), **changes}))


def shown(plan: Plan) -> str:
    return compose_yaml(render_compose(plan, standalone=False))


@pytest.mark.parametrize("engine", ["docker", "kubernetes"])
def test_it_is_the_plan_that_these_ports_would_have_given(environment: Environment, engine: str) -> None:
    found = Allocation(ports_of(environment).ports, "10.231.0.0/27")
    at_once = make_plan(environment, setting_of(environment, allocation=found, engine=traits(engine)))
    afterwards = without_ports(environment, engine=traits(engine)).with_allocation(found)
    assert at_once.services["web"].env["ME"] == f"http://127.0.0.1:{FIRST_PORT + 2}"
    assert (afterwards.services, afterwards.outputs, afterwards.tests) == (at_once.services, at_once.outputs, at_once.tests)
    assert shown(afterwards) == shown(at_once)


def test_nothing_is_read_for_it(environment: Environment, tmp_path: Path) -> None:
    """A file that is changed between planning and starting does not change what is started."""
    plan = without_ports(environment)
    for name in ("schema", "web"):
        shutil.rmtree(tmp_path / name)
    for name in ("rows.csv", "web.env", "environment.yaml"):
        (tmp_path / name).unlink()
    found = plan.with_allocation(ports_of(environment))
    before, after = plan.services["db"], found.services["db"]
    assert [step.hash for step in after.steps] == [step.hash for step in before.steps]
    assert found.services["web"].image == plan.services["web"].image
    assert found.services["web"].files["/etc/a/b.txt"].text == "text"
    assert found.services["web"].env["X"] == "1"


def test_ports_are_unknown_before(environment: Environment) -> None:
    plan = without_ports(environment)
    assert [port.outside for port in plan.services["db"].ports] == [None]
    assert plan.outputs == {"WEB": "http://127.0.0.1:0", "PORTS": '{"postgres": 0}'}


def test_an_allocation_may_change(environment: Environment) -> None:
    """If another program takes a port, the next attempt uses a different one."""
    plan = without_ports(environment).with_allocation(Allocation({("web", "main"): 1}))
    assert plan.outputs["WEB"] == "http://127.0.0.1:1"
    assert plan.with_allocation(Allocation({("web", "main"): 2})).outputs["WEB"] == "http://127.0.0.1:2"


def test_who_wants_a_number_and_how_many_in_a_row(environment: Environment) -> None:
    plan = without_ports(environment)
    assert dict(plan.ports_wanted) == {("db", "postgres"): 1, ("bus", "outside"): 1, ("web", "main"): 3}
    assert {port.name: port.reserved for port in plan.services["web"].ports} == {"main": True}


def test_a_process_of_this_machine_runs_once_and_has_ports_of_its_own(tmp_path: Path) -> None:
    text = "services: {bus: {kind: nats}, web: {run: serve, port: 80, replicas: 3}}"
    plan = without_ports(environment_of(tmp_path, text), engine=traits("local"), folder=Path("/services"))
    assert plan.ports_wanted["web", "main"] == 1
    beside = without_ports(environment_of(tmp_path, "services: {web: {run: serve, port: 80, replicas: 3}}"), local=frozenset(["web"]))
    assert beside.ports_wanted == {("web", "main"): 1}
