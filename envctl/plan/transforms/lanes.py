"""`--lanes N`: services with the scope `lane` exist once per lane, and shared servers are divided into units.

References stay as they are written: their reader and its lane are known only when they are resolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from envctl.definition.kinds import can_divide, is_divided, items_of, scope_of
from envctl.definition.models import SeedStep, Service
from envctl.environment import Environment
from envctl.environment.lanes import Lanes, lane_name
from envctl.errors import DefinitionError, Problem, UsageError
from envctl.plan.model import Selection
from envctl.plan.reading import refers
from envctl.plan.transforms.fixed_addresses import with_references
from envctl.plan.transforms.laned import ports_of, shared_instead, uses_no_lane
from envctl.plan.transforms.shared import cannot_be_copied

MOST = 64


def lanes(environment: Environment, selection: Selection) -> Environment:
    """Return *environment* with the number of lanes in *selection*; unchanged if it is 0.

    Raises:
        DefinitionError: a service cannot exist once per lane, or a shared service refers to a service that each lane has its own copy of.
        UsageError: the name of a lane's service is taken, or all lanes would share a server of `--use`.
    """
    if not selection.lanes:
        return environment
    own = [name for name, service in environment.definition.services.items() if _is_own(environment, name, service)]
    _refuse_used(environment, selection.lanes)
    environment, fixed = with_references(environment, own)
    if problems := [*_problems(environment, own, selection.lanes), *fixed]:
        raise DefinitionError(problems)
    given = environment.definition.services
    found: dict[str, Service] = {}
    copies: dict[str, tuple[str, int]] = {}
    for name, service in given.items():
        if name not in own:
            found[name] = _divided(environment, service)
            continue
        for lane in range(1, selection.lanes + 1):
            copy = lane_name(name, lane)
            if lane > 1 and copy in given:
                raise UsageError(f"lane {lane} of '{name}' would be called '{copy}', which is another service", hint="rename that one")
            found[copy], copies[copy] = _copied(service, own, lane), (name, lane)
    return _with(environment, found, Lanes(selection.lanes, copies))


def _is_own(environment: Environment, name: str, service: Service) -> bool:
    return name not in environment.used and scope_of(service, environment.kinds[service.kind]) == "lane"


def _divided(environment: Environment, service: Service) -> Service:
    """Return a shared server with the parameters that dividing it requires."""
    unit = environment.kinds[service.kind].unit
    return service.model_copy(update={"with_": {**unit.with_, **service.with_}}) if unit and unit.with_ else service


def _copied(service: Service, own: list[str], lane: int) -> Service:
    """Return the copy of *service* for *lane*, which waits for the services of its own lane."""

    def there(name: str) -> str:
        return lane_name(name, lane) if name in own else name

    def step(given: SeedStep) -> SeedStep:
        needs = {there(name): condition for name, condition in given.needs.items()}
        return given.model_copy(update={"needs": needs, "in_": there(given.in_) if given.in_ else given.in_})

    needs = {there(name): condition for name, condition in service.needs.items()}
    return service.model_copy(update={"needs": needs, "seed": [step(each) for each in service.seed]})


def _with(environment: Environment, services: dict[str, Service], found: Lanes) -> Environment:
    definition = environment.definition.model_copy(update={"services": services})
    loaded = environment.loaded
    written: dict[str, Any] = loaded.tree.get("services") or {}
    tree = {**loaded.tree, "services": {**written, **{copy: written.get(name) for copy, (name, _) in found.own.items()}}}
    source = replace(loaded.source, copies={copy: name for copy, (name, _) in found.own.items()})
    return replace(environment, definition=definition, lanes=found, loaded=replace(loaded, definition=definition, tree=tree, source=source))


def _refuse_used(environment: Environment, count: int) -> None:
    for name in environment.used if count > 1 else ():
        hint = "`--lanes 1`, or bring it up with the others"
        raise UsageError(f"--use {name}: it runs elsewhere, and all {count} lanes would share it", hint=hint)


def _problems(environment: Environment, own: list[str], count: int) -> Iterator[Problem]:
    for name, service in environment.definition.services.items():
        if name in own and count > 1:
            yield from _copies(environment, own, name, service)
        elif name not in own and name not in environment.used:
            yield from _shared(environment, own, name, service)


def _copies(environment: Environment, own: list[str], name: str, service: Service) -> Iterator[Problem]:
    """Yield a problem for each reason why the service cannot exist once per lane."""
    source = environment.loaded.source
    for path, why in cannot_be_copied(service):
        shared = f", or `scope: environment` for '{name}' makes all lanes share it" if uses_no_lane(environment, own, name) else ""
        yield source.problem(("services", name, *path), f"'{name}' cannot exist once per lane: {why}", f"remove it{shared}")
    if service.from_compose:
        known = {ref.root for ref in refers(service, environment.definition.services)}
        for other in service.needs:
            if other not in known and _is_laned(environment, own, other):
                message = f"'{name}' comes from a Compose file and reaches '{other}' by a fixed address, the same in every lane"
                instead = shared_instead(environment, own, other)
                what = "url" if ports_of(environment, environment.definition.services[other]) else "name"
                hint = f"give it the address with a reference: `env: {{{what.upper()}: ${{{other}.{what}}}}}`{instead}"
                yield source.problem(("services", name), message, hint)


def _is_laned(environment: Environment, own: list[str], name: str) -> bool:
    """Return whether service *name* has an address, and each lane has its own copy or unit of it."""
    service = environment.definition.services.get(name)
    if service is None or name in environment.used:
        return False
    kind = environment.kinds[service.kind]
    return not kind.once and (name in own or is_divided(kind))


def _shared(environment: Environment, own: list[str], name: str, service: Service) -> Iterator[Problem]:
    """Yield a problem for each reference of a shared service to a lane's own service, and for each server that cannot be divided."""
    definition, kind = environment.definition, environment.kinds[service.kind]
    if not can_divide(service, kind):
        message = f"'{name}' has the configuration of its Compose file, which lanes cannot divide"
        yield environment.loaded.source.problem(("services", name), message, "`scope: lane`, a server for each lane")
    several = kind.unit.several if kind.unit else ""
    if several and not items_of(kind, several, service.with_.get(several), name, environment.loaded.budget):
        message = f"'{name}' has no {several}, so there is nothing to divide between lanes"
        hint = f"`with: {{{several}: [...]}}`, which references name; or `scope: lane`, a server for each lane"
        yield environment.loaded.source.problem(("services", name), message, hint)
    for ref in refers(service, definition.services):
        divided = is_divided(environment.kinds[definition.services[ref.root].kind]) and ref.root != name
        if ref.root in own or divided:
            message = f"'{name}' is shared by all lanes, but refers to '{ref.root}', which is separate in each lane"
            yield environment.loaded.source.problem(("services", name), message, f"`scope: lane` for '{name}'")


def lanes_of(text: str | None, cores: int) -> int:
    """Return the number of lanes in *text*, the value of `--lanes`; 0 if the option is not given.

    Args:
        cores: the number that `auto` means.

    Raises:
        UsageError: the value is neither a number from 1 to `MOST` nor `auto`.
    """
    if text is None:
        return 0
    if text == "auto":
        return max(1, cores)
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= MOST:
        raise UsageError(f"--lanes {text}: not a number of lanes", hint=f"1 to {MOST}, or `auto`: one for each core")
    return int(text)
