"""`make_plan`: a checked environment and its setting -> Plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from envctl.definition.budget import KEY
from envctl.definition.expressions import ExpressionError, evaluate_tree
from envctl.definition.models import Service
from envctl.environment import Environment
from envctl.errors import DefinitionError, UsageError
from envctl.plan.addressing import TESTS, Addressing
from envctl.plan.model import Plan, PortKey, ServicePlan, Setting, Step, TestPlan
from envctl.plan.reading import Once, Reading, as_text, refers
from envctl.plan.services import ports_of, service_plan, variables
from envctl.plan.subjects import Subject, published, subjects
from envctl.plan.views import Resolver


def make_plan(environment: Environment, setting: Setting) -> Plan:
    """The plan of *environment*; `Plan.with_allocation` fills in ports that *setting* does not have yet.

    Raises:
        DefinitionError: references that lead nowhere, a cycle; all of them in one go.
        UsageError: some services are to be processes of this machine, and the others could not reach it.
    """
    if setting.local and not setting.engine.reaches_tests:
        names = ", ".join(sorted(setting.local))
        raise UsageError(f"--local {names}: from {setting.engine.place} nothing reaches this machine", hint="use --local with Docker")
    return _made(environment, setting, Once())


def _made(environment: Environment, setting: Setting, once: Once) -> Plan:
    found = subjects(environment, setting)
    resolver = Resolver(found, Addressing(setting), _scope(environment, setting))
    reading = Reading(environment.loaded, setting, resolver, once)
    running = {name: service for name, service in environment.definition.services.items() if name not in environment.used}
    needs = {name: _needs(name, service, environment, running) for name, service in running.items()}
    order = _order(reading, running, needs)
    services: dict[str, ServicePlan] = {}
    for name in order:
        with reading.located("services", name):
            services[name] = service_plan(reading, found[name], running[name], needs[name])
    outputs = _outputs(reading, environment)
    tests = _tests(reading, environment)
    if reading.problems:
        raise DefinitionError(reading.problems)
    # Ports are read last: a reference anywhere may have reserved one.
    services = {
        name: replace(
            plan,
            ports=ports_of(reading, found[name]),
            steps=tuple(_waiting(step, environment, running) for step in plan.steps),
            refers=frozenset(_referred(name, running[name], environment)),
        )
        for name, plan in services.items()
    }
    return Plan(
        setting=setting,
        services=services,
        outputs=outputs,
        write=environment.definition.write,
        tests=tests,
        folder=environment.loaded.folder,
        secrets=_secrets(reading, environment, found),
        used=environment.used,
        compose_extra=environment.loaded.compose_extra,
        losses=tuple(environment.loaded.losses),
        ports_wanted=_wanted(environment, services),
        again=lambda allocation, addresses: _made(environment, replace(setting, allocation=allocation, addresses=addresses), once),
    )


def _wanted(environment: Environment, services: Mapping[str, ServicePlan]) -> dict[PortKey, int]:
    keys = published(environment, [name for name, service in services.items() if service.local is not None])
    return {key: services[key[0]].replicas for key in keys}


def _scope(environment: Environment, setting: Setting) -> dict[str, Any]:
    return {
        "var": environment.loaded.variables,
        "env": setting.environ,
        "instance": {"id": setting.id, "name": setting.name},
        KEY: environment.loaded.budget,
    }


def _needs(name: str, service: Service, environment: Environment, running: Mapping[str, Service]) -> dict[str, str]:
    """References (what they need: everything) under what `needs` says; a job that is needed is a job that is done."""
    referred = _referred(name, service, environment)
    needs: dict[str, str] = {root: "seeded" for root in referred if root in running and root != name}
    needs |= {other: condition for other, condition in service.needs.items() if other in running or condition == "none"}
    return {other: _condition(environment, running[other], c) for other, c in needs.items() if c != "none" and other != name}


def _referred(name: str, service: Service, environment: Environment) -> list[str]:
    """The services whose properties it reads, in order; itself where it asks for its own address."""
    found = refers(service, [*environment.definition.services, "self"])
    return [name if ref.root == "self" else ref.root for ref in found if ref.root != "self" or ref.path[:1] in (("host",), ("url",))]


def _waiting(step: Step, environment: Environment, running: Mapping[str, Service]) -> Step:
    """The step with the conditions that can come true: nothing waits for `none`, nor for what runs elsewhere."""
    given = step.step.needs.items()
    return replace(step, needs={o: _condition(environment, running[o], c) for o, c in given if c != "none" and o in running})


def _condition(environment: Environment, other: Service, condition: str) -> str:
    once = environment.kinds[other.kind].once
    if once:
        return "done" if condition != "started" else condition
    return "seeded" if condition == "done" and not other.from_compose else condition


def _order(reading: Reading, running: Mapping[str, Service], needs: Mapping[str, Mapping[str, str]]) -> list[str]:
    seeding = {name: {o: c for step in service.seed for o, c in step.needs.items()} for name, service in running.items()}
    try:
        return start_order(needs, seeding)
    except Cycle as cycle:
        first = cycle.path[0]
        hint = f"break it with `needs: {{{cycle.path[1]}: none}}` in '{first}'"
        reading.wrong(("services", first), f"services need each other: {cycle}", hint)
        raise DefinitionError(reading.problems) from None


def _outputs(reading: Reading, environment: Environment) -> dict[str, str]:
    scope = reading.resolver.reader(TESTS)
    if environment.definition.outputs is None:
        return _default_outputs(reading)
    found: dict[str, str] = {}
    for key, value in environment.definition.outputs.items():
        with reading.located("outputs", key):
            found[key] = as_text(evaluate_tree(value, scope))
    return found


def _default_outputs(reading: Reading) -> dict[str, str]:
    """`<SERVICE>_<PROPERTY>` for the address, what the kind offers, and credentials; what is empty is left out."""
    found = {}
    for name, subject in reading.resolver.subjects.items():
        view = reading.resolver.reader(TESTS)[name]
        for key in ("host", "port", *subject.kind.properties, *subject.kind.credentials):
            try:
                value = view[key]
            except (ExpressionError, KeyError):
                continue
            if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
                found[f"{name}_{key}".upper().replace("-", "_")] = as_text(value)
    return found


def _tests(reading: Reading, environment: Environment) -> dict[str, TestPlan]:
    scope = reading.resolver.reader(TESTS)
    return {
        name: TestPlan(reading.argv(test.run, scope, "tests", name), tuple(test.reports), tuple(test.only))
        for name, test in environment.definition.tests.items()
    }


def _secrets(reading: Reading, environment: Environment, found: Mapping[str, Subject]) -> frozenset[str]:
    values = set(environment.loaded.secrets)
    for subject in found.values():
        view = reading.resolver.reader(TESTS)[subject.name]
        values |= {str(view[key]) for key, what in subject.kind.credentials.items() if what == "password" and subject.parameters.get(key)}
        values |= {str(item["password"]) for key in subject.several for item in view[key].values() if item.get("password")}
        values.add(unquote(urlsplit(subject.url or "").password or ""))
    written = {form for value in values for form in (quote(value, safe=""), json.dumps(value, ensure_ascii=False)[1:-1])}
    return frozenset((values | written) - {""})


def environment_outside(environment: Environment, setting: Setting, name: str) -> dict[str, str]:
    """The variables of service *name* as if it ran on the machine of the tests."""
    service = environment.definition.services[name]
    resolver = Resolver(subjects(environment, setting), Addressing(setting, by_hand=name), _scope(environment, setting))
    reading = Reading(environment.loaded, setting, resolver)
    found = variables(reading, service, environment.kinds[service.kind], resolver.reader_in(name), name)
    if reading.problems:
        raise DefinitionError(reading.problems)
    return found


Node = tuple[str, str]


class Cycle(Exception):
    """The services of a cycle, the first one again at the end."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = list(path)


def start_order(needs: Mapping[str, Mapping[str, str]], seeding: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Services in an order in which each can start.

    Args:
        needs: service -> {other: condition} before it starts.
        seeding: service -> {other: condition} before its seeds are done.

    Raises:
        Cycle: there is none.
    """
    graph: dict[Node, set[Node]] = {}
    for name, others in needs.items():
        graph[(name, "started")] = {(other, _state(condition)) for other, condition in others.items()}
        graph[(name, "ready")] = {(name, "started")}
        graph[(name, "seeded")] = {(name, "ready")} | {(o, _state(c)) for o, c in seeding.get(name, {}).items()}
    sorter = TopologicalSorter(graph)
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        raise Cycle(_services(error.args[1])) from None
    return [name for name, state in order if state == "started" and name in needs]


def _state(condition: str) -> str:
    return "seeded" if condition == "done" else condition


def _services(nodes: Sequence[Node]) -> list[str]:
    """The nodes of a cycle (each before the one that needs it) as services, the one that needs first."""
    names = [name for name, _ in reversed(nodes)]
    path = [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    return path if path[0] == path[-1] and len(path) > 1 else [*path, path[0]]
