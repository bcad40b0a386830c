"""Make a plan from a definition, for a new instance or for an existing one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from envctl.definition.compose_networks import in_doubt
from envctl.definition.expressions import references
from envctl.definition.models import NAME
from envctl.engines import Engine, HasNetworks
from envctl.engines.registry import services_folder, traits
from envctl.environment import Environment, open_environment
from envctl.environment.permissions import refuse_own_settings
from envctl.errors import UsageError, did_you_mean
from envctl.inspect.lookup import project_here
from envctl.instance.allocation import Allocation, PortKey
from envctl.instance.record import Record
from envctl.lifecycle.options import UpOptions
from envctl.plan.exposing import Exposure
from envctl.plan.make import environment_outside, make_plan
from envctl.plan.model import Plan, Selection, Setting
from envctl.plan.reading import texts
from envctl.plan.referenced_services import subjects
from envctl.plan.render_setting import drawn_from
from envctl.plan.traits import Addresses
from envctl.plan.transforms import apply
from envctl.plan.transforms.select import refuse_unknown
from envctl.session import Session


def open_selected(session: Session, options: UpOptions) -> Environment:
    """Open the environment that *options* name, and apply their selection.

    Raises:
        UsageError, DefinitionError: an option or the definition is wrong.
    """
    environment = open_environment(
        options.environment,
        cwd=session.cwd,
        overrides=options.set,
        environ=session.environ,
        untrusted=options.untrusted,
        answers=session.answers,
    )
    if options.untrusted:
        refuse_own_settings(session.settings, environment.loaded.file)
    refuse_unknown("--local", options.local, environment.definition.services)
    return apply(environment, options.selection)


def plan_of_environment(session: Session, environment: Environment, record: Record) -> Plan:
    """Return the plan for *record*; its ports may not be known yet (`Plan.with_allocation`).

    Raises:
        DefinitionError: a mistake that only planning can find.
    """
    return make_plan(environment, _setting(session, record))


def reached(engine: Engine, plan: Plan) -> Addresses:
    """Return the addresses of the services of *plan*. The engine is queried for networks only if the Compose file leaves them open."""
    addresses, networks = engine.addresses(), plan.compose_extra.get("networks", {})
    joined = [service.compose.get("networks") or () for service in plan.services.values() if service.from_compose and service.ports]
    doubts = dict.fromkeys(name for each in joined for name in in_doubt(each, networks))
    return addresses._replace(internal=engine.internal(doubts)) if doubts and isinstance(engine, HasNetworks) else addresses


def plan_of_instance(session: Session, record: Record, engine: Engine) -> Plan:
    """Return the plan of an existing instance; it equals the plan of `up` as long as the definition is the same.

    Raises:
        DefinitionError: the definition has mistakes now.
    """
    plan = plan_of_environment(session, _environment(session, record), record)
    return plan.with_allocation(record.allocation, reached(engine, plan))


def variables_by_hand(session: Session, record: Record, addresses: Addresses, service: str) -> dict[str, str]:
    """Return the variables of *service* as if it ran on this machine, with outside addresses.

    The service itself need not be up: to run it by hand, users leave it out (`--only`) or replace it (`--use`).

    Raises:
        UsageError: there is no such service, or it refers to a service that is not up.
    """
    environment = _environment(session, record, whole=True)
    services = environment.definition.services
    if service not in services:
        raise UsageError(f"{record.environment} has no service '{service}'", hint=did_you_mean(service, list(services)))
    there = {service, *record.services, *record.choices.use}
    referred = [ref.root for text in texts(services[service].env) for ref in references(text, list(services))]
    if absent := [name for name in dict.fromkeys(referred) if name in services and name not in there]:
        hint = f"`--only {absent[0]}` brings it up, too; `--use {absent[0]}=URL` uses one that is already running"
        raise UsageError(f"{service} refers to {' and '.join(absent)}, and {record.name} was brought up without", hint=hint)
    allocation = replace(record.allocation, ports={**_own_ports(environment, service), **record.allocation.ports})
    return environment_outside(environment, _setting(session, record, allocation, addresses), service)


def _own_ports(environment: Environment, service: str) -> dict[PortKey, int]:
    """Return the ports on which the service should listen by default: those of its definition, or that of the URL in `--use`."""
    ports = {(service, name): number for name, number in subjects(environment)[service].ports.items()}
    told = urlsplit(environment.used.get(service, "")).port
    return dict.fromkeys(list(ports)[:1], told) | dict(list(ports.items())[1:]) if told else ports


def _environment(session: Session, record: Record, whole: bool = False) -> Environment:
    """Open the definition with the changes from the command line of `up`; with *whole*, include the services that `--only` left out."""
    chosen = record.choices
    file, folder = (record.file, Path(record.project)) if record.file else (_name_here(record), session.cwd)
    environment = open_environment(file, cwd=folder, overrides=chosen.set, environ=session.environ, untrusted=chosen.untrusted)
    return apply(environment, Selection(() if whole else chosen.only, chosen.stub, chosen.use, chosen.image, chosen.lanes))


def _name_here(record: Record) -> str:
    """Return the environment's name in the record of another machine, to look it up in this checkout. A path in its place is refused.

    Raises:
        UsageError: the record contains no valid name.
    """
    if NAME.fullmatch(record.environment):
        return record.environment
    raise UsageError(f"{record.id} belongs to no environment that can be found here: {record.environment!r}")


def _setting(session: Session, record: Record, allocation: Allocation | None = None, addresses: Addresses | None = None) -> Setting:
    engine = traits(record.engine)
    return Setting(
        name=record.name,
        id=record.id,
        environment=record.environment,
        project=Path(record.project) if record.file else project_here(session),
        checkout="" if record.file else record.project,
        engine=engine,
        addresses=addresses or engine.addresses,
        allocation=allocation or Allocation(),
        secret=drawn_from(bytes.fromhex(record.secret)),
        owner=record.owner,
        key=record.key,
        folder=services_folder(record.id, session.store.home),
        local=frozenset(record.choices.local),
        registry=record.choices.registry,
        image_names=record.choices.image_names,
        expose=Exposure.of((record.choices.docker if engine.proxies else record.choices.kubernetes).get("expose") or {}),
        shared=record.namespace is not None,
        environ=session.environ,
        rewrite=record.choices.images,
    )
