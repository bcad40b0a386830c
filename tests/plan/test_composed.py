"""A definition on top of a Compose file: what its services wait for, and what replaces them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.models import Build, SeedStep, Service
from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import DefinitionError
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.plan.transforms import Selection, apply
from tests.builders import environment_of, setting_of


def composed(tmp_path: Path, **services: Service) -> Environment:
    """Return an environment whose services come from a Compose file."""
    environment = environment_of(tmp_path, "services: {}\n")
    theirs = {name: service.model_copy(update={"from_compose": True}) for name, service in services.items()}
    definition = environment.definition.model_copy(update={"services": theirs})
    return replace(environment, definition=definition, loaded=replace(environment.loaded, definition=definition))


def test_what_depends_on_a_seeded_server_waits_for_its_seeds(tmp_path: Path) -> None:
    steps = [SeedStep.model_validate({"command": "migrate", "in": "app"})]
    db = Service(kind="postgres", image="postgres:17", ports={"postgres": 5432}, seed=steps)
    app, web, other = Service(image="a:1"), Service(image="w:1", needs={"db": "ready"}), Service(image="o:1")
    environment = composed(tmp_path, db=db, app=app, web=web, other=other)
    plan = make_plan(environment, setting_of(environment))
    assert {name: dict(service.needs) for name, service in plan.services.items()} == {
        "db": {},
        "app": {"db": "seeded"},
        "web": {"db": "seeded"},
        "other": {},
    }


def test_a_stub_is_on_the_networks_of_what_it_replaces(tmp_path: Path) -> None:
    networks = {"back": {"aliases": ["pay.internal"]}}
    environment = composed(tmp_path, pay=Service(image="p:1", ports={"http": 80}, compose={"networks": networks}))
    stub = apply(environment, Selection(stub=("pay",))).definition.services["pay"]
    assert (stub.kind, stub.port, stub.compose) == ("stub", 80, {"networks": networks})


def test_a_fragment_is_evaluated_once(tmp_path: Path) -> None:
    environment = composed(tmp_path, x=Service(image="x:1", compose={"command": ["echo $${HOME}"]}))
    plan = make_plan(environment, setting_of(environment))
    assert plan.services["x"].compose == {"command": ["echo $${HOME}"]}


def test_a_server_that_publishes_a_port_of_a_parameter_keeps_it(tmp_path: Path) -> None:
    broker = Service(kind="rabbitmq", image="rabbitmq:4.0", ports={"amqp": 5672, "management": 15672})
    environment = composed(tmp_path, broker=broker)
    plan = make_plan(environment, setting_of(environment))
    assert set(plan.services["broker"].endpoints) == {"amqp", "management"}


@pytest.mark.parametrize(("protocols", "probes"), [(["udp"], []), (["udp", "tcp"], ["tcp"]), ([None], ["tcp"]), ([], [])])
def test_only_a_tcp_port_that_is_published_is_waited_for(tmp_path: Path, protocols: list[str | None], probes: list[str]) -> None:
    ports = [{"target": 53, **({"protocol": protocol} if protocol else {})} for protocol in protocols]
    environment = composed(tmp_path, dns=Service(kind="service", image="dns:1", compose={"ports": ports}))
    plan = make_plan(environment, setting_of(environment))
    assert [check.probe for check in plan.services["dns"].checks] == probes


@pytest.mark.parametrize(("engine", "told"), [("docker", True), ("kubernetes", False)])
def test_what_is_external_is_told_where_it_is_joined(tmp_path: Path, engine: str, told: bool) -> None:
    environment = composed(tmp_path, x=Service(image="x:1"))
    extra = {"networks": {"outer": {"external": True}, "own": {}}, "volumes": {"theirs": {"external": True, "name": "v"}, "bare": None}}
    environment = replace(environment, loaded=replace(environment.loaded, compose_extra=extra))
    losses = make_plan(environment, replace(setting_of(environment), engine=traits(engine))).losses
    expected = [
        f"the {what} is external: it must exist already, and every instance shares it" for what in ("network 'outer'", "volume 'theirs'")
    ]
    assert list(losses) == (expected if told else [])


def test_what_is_only_in_internal_networks_has_no_address_outside(tmp_path: Path) -> None:
    db = Service(kind="redis", image="redis:8.0", ports={"redis": 6379}, compose={"networks": {"vault": None}})
    both = db.model_copy(update={"compose": {"networks": {"vault": None, "open": None}}})
    environment = composed(tmp_path, db=db, both=both)
    loaded = replace(environment.loaded, compose_extra={"networks": {"vault": {"internal": True}, "open": None}})
    environment = replace(environment, loaded=loaded)
    setting = setting_of(environment)
    plan = make_plan(environment, replace(setting, allocation=replace(setting.allocation, ports={("both", "redis"): 20001})))
    assert ({name: dict(service.endpoints) for name, service in plan.services.items()}) == {"db": {}, "both": {"redis": 20001}}
    assert not [key for key in plan.outputs if key.startswith("DB_")]
    assert plan.outputs["BOTH_URL"]
    assert plan.services["db"].inside["port"] == 6379
    assert [check.probe for check in plan.services["db"].checks] == []


def test_a_database_that_nobody_outside_reaches_is_not_divided(tmp_path: Path) -> None:
    db = Service(kind="postgres", image="postgres:17", ports={"postgres": 5432}, compose={"networks": {"vault": None}})
    environment = composed(tmp_path, db=db)
    loaded = replace(environment.loaded, compose_extra={"networks": {"vault": {"internal": True}}})
    environment = replace(environment, loaded=loaded)
    plan = make_plan(environment, setting_of(environment))
    assert (plan.services["db"].unit, dict(plan.outputs)) == (None, {})
    assert plan.services["db"].inside["url"].startswith("postgresql://")


def test_services_that_no_expression_can_name_have_their_outputs(tmp_path: Path) -> None:
    cache = Service(kind="redis", image="redis:8.0", ports={"redis": 6379})
    names = ("env", "var", "self", "lane", "instance", "tester", "true", "in", "a.b", "plain")
    environment = composed(tmp_path, **dict.fromkeys(names, cache))
    setting = setting_of(environment)
    ports = {(name, "redis"): 20000 + number for number, name in enumerate(names)}
    plan = make_plan(environment, replace(setting, allocation=replace(setting.allocation, ports=ports)))
    assert {key: value for key, value in plan.outputs.items() if key.endswith("_PORT")} == {
        f"{name.upper().replace('.', '_')}_PORT": str(20000 + number) for number, name in enumerate(names)
    }


def test_an_external_network_is_internal_where_its_engine_says_so(tmp_path: Path) -> None:
    db = Service(kind="redis", image="redis:8.0", ports={"redis": 6379}, compose={"networks": {"vault": None}})
    environment = composed(
        tmp_path, db=db, web=Service(image="w:1", compose={"networks": {"vault": None, "open": None}}, ports={"http": 80})
    )
    loaded = replace(environment.loaded, compose_extra={"networks": {"vault": {"external": True, "name": "corp"}, "open": None}})
    environment = replace(environment, loaded=loaded)
    setting = setting_of(environment)
    allocation = replace(setting.allocation, ports={("db", "redis"): 20001, ("web", "http"): 20002})

    def made(*internal: str) -> Plan:
        addresses = setting.addresses._replace(internal=frozenset(internal))
        return make_plan(environment, setting).with_allocation(allocation, addresses)

    external = "the network 'vault' is external: it must exist already, and every instance shares it"
    assert (made().services["db"].endpoints, made().losses) == ({"redis": 20001}, (external,))
    closed = made("corp")
    assert (closed.services["db"].endpoints, closed.services["web"].endpoints) == ({}, {"http": 20002})
    assert [key for key in closed.outputs if key.startswith("DB_")] == []
    assert closed.losses == (external, "db: the external network corp is `internal`, so tests cannot reach it, and it has no outputs")


@pytest.mark.parametrize(
    ("service", "told"),
    [
        (Service(image="a:1", compose={"secrets": [{"source": "there"}, {"source": "known"}], "configs": [{"source": "text"}]}), []),
        (Service(image="a:1", compose={"secrets": [{"source": "gone"}]}), ["secrets: the secret 'gone' is the file '"]),
        (
            Service(image="a:1", compose={"configs": [{"source": "unset"}]}),
            ["configs: the config 'unset' is the variable NOBODY, which is not set"],
        ),
        (
            Service(image="a:1", compose={"secrets": ["deep"]}),
            ["secrets: the secret 'deep' is the variable DEEP, whose value in the `.env`"],
        ),
        (Service(build=Build(context="none")), ["build: there is no folder '"]),
        (Service(build=Build(context=".", dockerfile="Other")), ["build: there is no file '"]),
        (Service(build=Build(context=".", dockerfile_inline="FROM a")), []),
    ],
)
def test_what_the_project_lacks_is_told_before_anything_starts(tmp_path: Path, service: Service, told: list[str]) -> None:
    if isinstance(service.build, Build):
        service = service.model_copy(update={"build": service.build.model_copy(update={"context": str(tmp_path / service.build.context)})})
    (tmp_path / "there.txt").write_text("x")
    shared = {"there": {"file": "there.txt"}, "gone": {"file": str(tmp_path / "gone.txt")}, "known": {"environment": "KNOWN"}}
    shared |= {"deep": {"environment": "DEEP"}}
    extra = {"secrets": shared, "configs": {"text": {"content": "x"}, "unset": {"environment": "NOBODY"}}}
    environment = composed(tmp_path, a=service)
    loaded = replace(environment.loaded, compose_extra=extra, compose_variables={"KNOWN": "x"}, compose_unresolved=frozenset({"DEEP"}))
    environment = replace(environment, loaded=loaded)
    problems: list[str] = []
    try:
        make_plan(environment, setting_of(environment))
    except DefinitionError as error:
        problems += [f"{problem.path}: {problem.message}" for problem in error.problems]
    assert len(problems) == len(told)
    assert all(problem.startswith(f"services.a.{start}") for problem, start in zip(problems, told, strict=True))


@pytest.mark.parametrize(
    ("compose", "dockerfile", "waits"),
    [
        ({}, None, True),
        ({"command": ["--appendonly", "yes"]}, None, True),
        ({"command": "valkey-server --appendonly yes"}, None, True),
        ({"command": ["sh", "-c", "exec valkey-server --requirepass $$PW"]}, None, True),
        ({"entrypoint": ["/w.sh"]}, None, False),
        ({"command": ["/w.sh"]}, None, False),
        ({}, "FROM valkey/valkey:8.1\nCOPY conf /etc/", True),
        ({}, 'FROM valkey/valkey:8.1\nENTRYPOINT ["/w.sh"]', False),
        ({"ports": [{"target": 6379}]}, None, False),
    ],
)
def test_only_what_runs_the_server_of_its_image_is_waited_for_in_silence(
    tmp_path: Path, compose: dict[str, Any], dockerfile: str | None, waits: bool
) -> None:
    """A helper from the same image, such as a script that waits, may never listen; a published port gets that time in any case."""
    build = Build(context=str(tmp_path), dockerfile_inline=dockerfile) if dockerfile else None
    environment = composed(
        tmp_path, x=Service(kind="valkey", image="valkey/valkey:8.1", build=build, ports={"redis": 6379}, compose=compose)
    )
    (check,) = make_plan(environment, setting_of(environment)).services["x"].checks
    assert ("silent" in check.options) is waits


def test_a_known_server_is_as_slow_as_its_kind(tmp_path: Path) -> None:
    environment = composed(tmp_path, db=Service(kind="mariadb", image="mariadb:11.8", ports={"mysql": 3306}), app=Service(image="a:1"))
    plan = make_plan(environment, setting_of(environment))
    assert plan.services["db"].slow > plan.services["app"].slow == 1.0
