"""`make_plan`, which makes a plan from a checked environment and its setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Any

from envctl.definition.budget import KEY
from envctl.definition.compose_networks import in_doubt, shared
from envctl.definition.expressions import ExpressionError, evaluate_tree
from envctl.definition.models import Service, expressible
from envctl.definition.variable_names import is_output
from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.plan.addressing import TESTS, Addressing, Viewpoint
from envctl.plan.anonymous import nobodys, without_passwords
from envctl.plan.model import Plan, PortKey, ServicePlan, Setting, Step, TestPlan
from envctl.plan.proxy import PROXY, with_proxy
from envctl.plan.reading import Once, Reading, as_text, refers
from envctl.plan.referenced_services import fixed_ports, published, subjects
from envctl.plan.secrets import secrets
from envctl.plan.services import ports_of, service_plan, variables
from envctl.plan.units import undivided
from envctl.plan.views import Resolver


def make_plan(environment: Environment, setting: Setting) -> Plan:
    """Return the plan of *environment*. `Plan.with_allocation` adds the ports that *setting* does not have yet.

    Raises:
        DefinitionError: a reference cannot be resolved, or services need each other in a cycle. It has all of these problems.
        UsageError: some services are to be processes on this machine, and the engine's services could not reach them.
    """
    if setting.local and not setting.engine.reaches_tests:
        names = ", ".join(sorted(setting.local))
        raise UsageError(f"--local {names}: {setting.engine.place} cannot reach this machine", hint="use --local with Docker")
    return _made(environment, setting, Once())


def _made(written: Environment, setting: Setting, once: Once) -> Plan:
    environment = with_proxy(written, setting)
    found = subjects(environment, setting)
    resolver = Resolver(found, Addressing(setting, lanes=environment.lanes), _scope(environment, setting))
    reading = Reading(environment.loaded, setting, resolver, once)
    _check_hosts(reading)
    running = {name: service for name, service in environment.definition.services.items() if name not in environment.used}
    needs = {name: _needs(name, service, environment, running) for name, service in running.items()}
    order = _order(reading, running, needs)
    services: dict[str, ServicePlan] = {}
    for name in order:
        with reading.located("services", name):
            services[name] = service_plan(reading, found[name], running[name], needs[name])
            for server in undivided(reading, running[name], name):
                message = f"'{environment.lanes.written(name)}' refers only to parts of '{server}' that are the same in all lanes"
                reading.wrong(
                    ("services", name), message, f"refer to something that each lane has its own copy of, e.g. `${{{server}.url}}`"
                )
    lanes = tuple(_outputs(reading, environment, TESTS._replace(lane=lane)) for lane in range(1, environment.lanes.count + 1))
    _check_urls(reading, services.values())
    outputs = lanes[0] if lanes else _outputs(reading, environment, TESTS._replace(lane=0))
    tests = _tests(reading, environment)
    reading.check()
    # Ports come last, because any reference may have reserved one.
    services = {
        name: replace(
            plan,
            ports=ports_of(reading, found[name]),
            steps=tuple(_in_its_lane(reading, environment, step, running) for step in plan.steps),
            refers=frozenset(_referred(name, running[name], environment)),
        )
        for name, plan in services.items()
    }
    services = {name: replace(plan, gated=_gated(plan, services)) for name, plan in services.items()}
    return Plan(
        setting=setting,
        services=services,
        outputs=outputs,
        write=environment.definition.write,
        tests=tests,
        folder=environment.loaded.folder,
        secrets=secrets(reading, services.values(), outputs).union(*(secrets(reading, (), lane) for lane in lanes[1:])),
        lanes=lanes,
        used=environment.used,
        compose_extra=environment.loaded.compose_extra,
        compose_variables=environment.loaded.compose_variables,
        losses=(*_of_others(environment, setting), *environment.loaded.losses, *_unreachable(reading, environment)),
        ports_wanted=(wanted := _wanted(environment, services)),
        ports_fixed=fixed_ports(environment, list(wanted)),
        outputs_in=lambda name: _outputs(reading, environment, resolver.addressing.standpoint(name)),
        again=lambda allocation, addresses: _made(written, replace(setting, allocation=allocation, addresses=addresses), once),
        of_nobody=lambda: _made(without_passwords(written), nobodys(setting), once),
    )


def _of_others(environment: Environment, setting: Setting) -> Iterator[str]:
    yield from shared(environment.loaded.compose_extra) if setting.engine.joins_others else ()


def _unreachable(reading: Reading, environment: Environment) -> list[str]:
    """Return a note for each service that tests cannot reach because its external networks are internal on this engine."""
    given = environment.loaded.compose_extra.get("networks", {})
    services = {
        name: environment.definition.services[name] for name, found in reading.resolver.subjects.items() if found.closed and found.ports
    }
    found = {name: sorted(in_doubt(service.compose.get("networks") or (), given)) for name, service in services.items()}
    return [
        f"{name}: the external network{'s' if len(outer) > 1 else ''} {', '.join(outer)} {'are' if len(outer) > 1 else 'is'} `internal`, "
        "so tests cannot reach it, and it has no outputs"
        for name, outer in found.items()
        if outer
    ]


def _gated(service: ServicePlan, services: Mapping[str, ServicePlan]) -> bool:
    """Return whether *service* may stay unreachable until it is seeded: neither a service nor a command inside needs it before."""
    if service.once or service.advertised or service.name in service.refers or not (service.steps or service.sets_up):
        return False
    others = [other for other in services.values() if other.name != service.name]
    waits = all(other.needs.get(service.name) == "seeded" for other in others if service.name in (*other.needs, *other.refers))
    elsewhere = [step for other in services.values() for step in other.steps if step.step.runs_in in services]
    return waits and not any(service.name in (step.service, step.step.runs_in, *step.needs) for step in elsewhere)


def _check_hosts(reading: Reading) -> None:
    """Report service names that become the same host name: a Compose file can have both `a-b` and `a_b`, but a DNS label has no `_`."""
    seen: dict[str, str] = {}
    for name in reading.resolver.subjects:
        host = reading.addressing.name(name)
        if host in seen:
            place = reading.setting.engine.place
            reading.wrong(("services", name), f"'{name}' and '{seen[host]}' are one host name in {place}", "`--engine docker` has both")
        seen.setdefault(host, name)


def _check_urls(reading: Reading, services: Iterable[ServicePlan]) -> None:
    seen: dict[str, str] = {}
    for service in services:
        if service.exposed is not None and (other := seen.setdefault(service.exposed.url, service.name)) != service.name:
            message = f"'{service.name}' and '{other}' would both be {service.exposed.url}"
            reading.wrong(("services", service.name, "expose"), message, "give one of them another host or path")


def _in_its_lane(reading: Reading, environment: Environment, step: Step, running: Mapping[str, Service]) -> Step:
    """Return *step* with variables that point to the unit that the step seeds, if the step's program is in another lane."""
    step = replace(step, needs=_conditions(environment, step.step.waits_for, running))
    program, lanes = step.step.runs_in or "host", environment.lanes
    lane = lanes.number(step.service)
    if lanes.count and program == "host":
        return replace(step, env=_outputs(reading, environment, TESTS._replace(lane=lane)))
    if lanes.number(program) == lane or program not in running:
        return step
    service = running[program]
    scope = reading.resolver.reader_in(program, lane)
    return replace(step, env=variables(reading, service, environment.kinds[service.kind], scope, program))


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
    """Return the needs of a service: its references (they need `seeded`), overridden by `needs`. A job must be `done`."""
    needs = {**dict.fromkeys(_referred(name, service, environment), "seeded"), **service.needs}
    if service.from_compose:  # a Compose file does not know the seeds that a definition adds to its services
        seeded = [other for other, its in running.items() if its.seed and (other in needs or any(step.in_ == name for step in its.seed))]
        needs |= {other: "seeded" for other in seeded if needs.get(other) != "none"}
    return _conditions(environment, {other: condition for other, condition in needs.items() if other != name}, running)


def _referred(name: str, service: Service, environment: Environment) -> list[str]:
    """Return the services whose properties *service* reads, in order; including the service itself if it reads its own address."""
    found = refers(service, [*filter(expressible, environment.definition.services), "self"])
    lanes = environment.lanes
    lane = lanes.number(name)
    return [
        name if ref.root == "self" else lanes.service(ref.root, lane)
        for ref in found
        if ref.root != "self" or ref.path[:1] in (("host",), ("url",))
    ]


def _conditions(environment: Environment, needs: Mapping[str, str], running: Mapping[str, Service]) -> dict[str, str]:
    """Return the needs for which a service waits: without `none`, and without services that run elsewhere."""
    return {o: _condition(environment, running[o], c) for o, c in needs.items() if c != "none" and o in running}


def _condition(environment: Environment, other: Service, condition: str) -> str:
    once = environment.kinds[other.kind].once
    if once:
        return "done" if condition != "started" else condition
    return "seeded" if condition == "done" and not other.from_compose else condition


def _order(reading: Reading, running: Mapping[str, Service], needs: Mapping[str, Mapping[str, str]]) -> list[str]:
    seeding = {name: {o: c for step in service.seed for o, c in step.waits_for.items()} for name, service in running.items()}
    try:
        return start_order(needs, seeding)
    except Cycle as cycle:
        first = cycle.path[0]
        hint = f"break it with `needs: {{{cycle.path[1]}: none}}` in '{first}'"
        reading.wrong(("services", first), f"services need each other: {cycle}", hint)
        reading.check()
        raise


def _outputs(reading: Reading, environment: Environment, viewpoint: Viewpoint) -> dict[str, str]:
    scope = reading.resolver.reader(viewpoint)
    if environment.definition.outputs is None:
        return _default_outputs(reading, viewpoint)
    found: dict[str, str] = {}
    for key, value in environment.definition.outputs.items():
        with reading.located("outputs", key):
            found[key] = as_text(evaluate_tree(value, scope))
    return found


def _default_outputs(reading: Reading, viewpoint: Viewpoint) -> dict[str, str]:
    """Return `<SERVICE>_<PROPERTY>` for addresses, properties of the kind and credentials; empty values are left out."""
    found: dict[str, str] = {}
    prefixes: set[str] = set()
    for name, view in reading.resolver.seen(viewpoint).items():
        subject = reading.resolver.subjects[name]
        if name == PROXY or (subject.closed and viewpoint.side == "outside"):
            continue
        prefix = _prefix(name, prefixes)
        divided = [subject.kind.unit.parameter] if subject.kind.unit and subject.kind.unit.parameter else []
        for key in ("host", "port", *subject.kind.properties, *divided, *subject.kind.credentials):
            try:
                value = view[key]
            except (ExpressionError, KeyError):
                continue
            variable = f"{prefix}_{key.upper()}"
            if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "" and is_output(variable):
                found[variable] = as_text(value)
    return found


def _prefix(name: str, taken: set[str]) -> str:
    """Return the prefix of a service's outputs. It has a number if another name has the same prefix, as `a-b` and `a_b` have."""
    base = re.sub(r"[^A-Z0-9_]", "_", name.upper())
    prefix = next(text for number in count(1) if (text := base if number == 1 else f"{base}_{number}") not in taken)
    taken.add(prefix)
    return prefix


def _tests(reading: Reading, environment: Environment) -> dict[str, TestPlan]:
    scope = reading.resolver.reader(TESTS._replace(lane=min(environment.lanes.count, 1)))
    return {
        name: TestPlan(reading.argv(test.run, scope, "tests", name), tuple(test.reports), tuple(test.only))
        for name, test in environment.definition.tests.items()
    }


def environment_outside(environment: Environment, setting: Setting, name: str) -> dict[str, str]:
    """Return the environment variables of service *name* as if it ran on the machine on which the tests run.

    Raises:
        DefinitionError: a variable cannot be evaluated.
    """
    environment = with_proxy(environment, setting)
    service = environment.definition.services[name]
    resolver = Resolver(
        subjects(environment, setting), Addressing(setting, by_hand=name, lanes=environment.lanes), _scope(environment, setting)
    )
    reading = Reading(environment.loaded, setting, resolver)
    found = variables(reading, service, environment.kinds[service.kind], resolver.reader_in(name), name)
    reading.check()
    return found


Node = tuple[str, str]


class Cycle(Exception):
    """The services of a cycle; the last is the first again."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = list(path)


def start_order(needs: Mapping[str, Mapping[str, str]], seeding: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the services in an order in which each can start.

    Args:
        needs: service -> {other: condition} before it starts.
        seeding: service -> {other: condition} before its seeds are done.

    Raises:
        Cycle: no such order exists.
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
    """Return the nodes of a cycle as services, each before the one that it needs. In *nodes*, a node is before the one that needs it."""
    names = [name for name, _ in reversed(nodes)]
    path = [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    return path if path[0] == path[-1] and len(path) > 1 else [*path, path[0]]
