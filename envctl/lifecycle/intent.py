"""What an instance is going to be, on disk before anything is created: identity, ports, subnet, secrets, what it offers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl import instance
from envctl.definition.models import NAME
from envctl.engines import Engine
from envctl.engines.local.folders import services_folder
from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import UsageError, did_you_mean
from envctl.instance import Record
from envctl.instance.allocation import Allocation
from envctl.lifecycle.down import clear, was_killed
from envctl.lifecycle.request import UpOptions
from envctl.plan.model import Plan, ServicePlan, Setting
from envctl.plan.secrets import drawn_from
from envctl.plan.subjects import published


def instance_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name", hint="letters, digits, - and _, at most 40, a letter or digit first")
    return name


def record_of(request: UpOptions, environment: Environment, engine: Engine, id: str, name: str) -> Record:
    """The record of the instance that is there, or a new one; what was left half-way, or without a record, is removed first."""
    record = instance.load(id)
    there = (request.engine, request.context, request.namespace)
    if record is not None and (record.engine, record.context, record.namespace) != there:
        where = ", ".join(filter(None, (record.context, record.namespace)))
        raise UsageError(
            f"{name} is up on {record.engine}{f' at {where}' if where else ''}",
            hint=f"`envctl down {name}` first, or take another --name",
        )
    if record is not None and record.name != name:
        raise UsageError(f"'{name}' and '{record.name}' would share the id {id}", hint="take another --name")
    if record is not None and record.owner and instance.process_alive(record.owner):
        raise UsageError(f"another `envctl run` or `test` is using {name}", hint="wait for it, or take another --name")
    if record is None or request.fresh or record.expired or record.owner or record.state in ("starting", "removing"):
        clear(engine, id, record.stop if record else {}, record is not None and was_killed(record))
        record = Record(
            name=name, id=id, environment=environment.definition.name, engine=request.engine, context=request.context,
            project=str(environment.loaded.project), file=str(environment.loaded.file), created=instance.now(),
            secret=secrets.token_hex(32), namespace=request.namespace,
        )  # fmt: skip
    ttl = request.ttl or environment.definition.ttl
    record.expires = instance.now(ttl) if ttl else None
    # The owner is a label, and a changed label recreates containers: an instance that is up keeps the one it has.
    record.owner = record.owner if record.state in ("up", "changing") else request.owner
    # Other commands come from other shells: what this one's environment gave is kept with what the command line said.
    record.registry = request.registry or record.registry
    record.options, record.file = {**request.options, "set": dict(environment.loaded.given)}, str(environment.loaded.file)
    return record


def setting_of(record: Record, engine: Engine, request_images: Mapping[str, str]) -> Setting:
    return Setting(
        name=record.name,
        id=record.id,
        environment=record.environment,
        project=Path(record.project),
        engine=traits(record.engine),
        secret=drawn_from(bytes.fromhex(record.secret)),
        allocation=Allocation.from_json({"ports": record.ports, "subnet": record.subnet}),
        addresses=engine.addresses(),
        owner=record.owner,
        folder=services_folder(record.id),
        local=frozenset(record.local),
        registry=record.registry,
        shared=record.namespace is not None,
        environ=dict(os.environ),
        rewrite=request_images,
    )


def port_key(text: str) -> tuple[str, str]:
    service, _, port = text.partition("/")
    return service, port


def choose(environment: Environment, engine: Engine, record: Record, request: UpOptions, refused: list[str]) -> None:
    """Ports and the subnet: those that the record has, new ones for the rest."""
    wanted = published(environment, environment.definition.services if traits(record.engine).runs_processes else record.local)
    kept = {key: record.ports[f"{key[0]}/{key[1]}"] for key in wanted if f"{key[0]}/{key[1]}" in record.ports}
    for service, number in request.ports.items():
        main = next((key for key in wanted if key[0] == service), None)
        if main is None:
            raise UsageError(
                f"--port {service}={number}: there is no such service with a port", hint=did_you_mean(service, [k[0] for k in wanted])
            )
        kept[main] = number
    others = [port for other in instance.records() if other.id != record.id for port in other.ports.values()]
    services = environment.definition.services
    fresh = engine.free_ports({key: services[key[0]].replicas for key in wanted if key not in kept}, [*kept.values(), *others])
    record.ports = {f"{service}/{port}": number for (service, port), number in {**kept, **fresh}.items()}
    if record.subnet is None:
        containers = sum(service.replicas for service in environment.definition.services.values())
        record.subnet = engine.free_subnet(record.id, containers, refused)
    record.save()


def remember(plan: Plan, record: Record) -> None:
    record.outputs, record.secrets, record.write = dict(plan.outputs), sorted(plan.secrets), dict(plan.write)
    record.stop = {service.name: service.stop for service in plan.services.values() if service.stop}
    before = record.services
    record.services = {name: described(service) for name, service in plan.services.items()}
    for name in record.services.keys() & before.keys():
        record.services[name] |= {key: before[name].get(key) for key in ("state", "ready_ms")}
    record.save()


def described(service: ServicePlan) -> dict[str, Any]:
    """What is kept of a service for the commands that work without the definition."""
    host = service.outside.get("host")
    return {
        "kind": service.kind, "state": "pending", "ready_ms": None,
        "endpoints": {name: {"host": host, "port": port} for name, port in service.endpoints.items()},
        "ends": service.once or service.from_compose,
        "shell": list(service.shell), "shell_env": dict(service.shell_env), "user": service.user,
    }  # fmt: skip
