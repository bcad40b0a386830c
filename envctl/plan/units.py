"""The units of a server for lanes and leases, named and evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envctl.definition.expressions import ExpressionError, Reference
from envctl.definition.kinds import is_divided
from envctl.definition.models import Service
from envctl.instance.units import Names, Unit
from envctl.plan.addressing import LEASED, TESTS, Viewpoint
from envctl.plan.reading import Reading, plain, refers
from envctl.plan.referenced_services import Subject
from envctl.plan.views import View, property_names

_PARTS = ("inside", "outside", "first", "bind", "prefix")
_LOGIN = ("username", "password", "accounts")


def unit_of(reading: Reading, subject: Subject) -> Unit | None:
    """Return how the server is divided; None if its kind does not support that, or if it is unreachable from outside."""
    kind = subject.kind.unit
    if kind is None or subject.closed:
        return None
    leased = properties_of(reading, subject, TESTS._replace(lane=LEASED)) if kind.template else {}
    names: tuple[Names, ...] = ()
    with reading.located("services", subject.name, "with"):
        names = tuple(_names(reading, subject))
    server = properties_of(reading, subject, TESTS)
    if kind.parameter and kind.properties:
        server["units"] = {lane[kind.parameter]: _login(lane) for lane in reading.resolver.view(subject.name, TESTS)["units"]}
    return Unit(kind.driver, names, server, leased, kind.ahead, kind.several)


def _login(view: View) -> dict[str, Any]:
    """Return the login of a lane."""
    return {key: plain(view[key]) for key in _LOGIN if key in view}


def _names(reading: Reading, subject: Subject) -> Iterator[Names]:
    kind, resolver = subject.kind.unit, reading.resolver
    assert kind is not None
    lanes = reading.addressing.lanes
    shared = range(1, lanes.count + 1) if not lanes.number(subject.name) else ()
    base = resolver.view(subject.name, TESTS)
    if kind.several:
        seeded: list[Any] = list(base[kind.several])
    else:
        seeded = [base[kind.parameter]] if kind.parameter else []
    for item in seeded if kind.template or shared else ():
        template = str(resolver.named(subject, kind.template, item))
        yield Names(str(item), template, tuple(str(resolver.named(subject, kind.name, item, lane)) for lane in shared))


def undivided(reading: Reading, service: Service, name: str) -> Iterator[str]:
    """Yield the servers of whose lane units the lane's service *name* reads nothing, so that it would use the same data in all lanes."""
    lane, resolver = reading.addressing.lanes.number(name), reading.resolver
    if not lane:
        return
    read: dict[str, list[Reference]] = {}
    for reference in refers(service, list(resolver.subjects)):
        subject = resolver.subjects[reference.root]
        if is_divided(subject.kind) and not reading.addressing.lanes.number(subject.name) and subject.url is None:
            read.setdefault(reference.root, []).append(reference)
    own, seeded = resolver.reader_in(name), resolver.reader_in(name, lane=0)
    for server, found in read.items():
        if all(_value(own, each) == _value(seeded, each) for each in found):
            yield server


def _value(scope: Mapping[str, Any], reference: Reference) -> Any:
    """Return the value of *reference*; if it cannot be resolved, the value of the longest part that can be."""
    value: Any = scope[reference.root]
    for step in reference.path:
        try:
            value = value[step]
        except (KeyError, TypeError, IndexError, ExpressionError):
            break
    return _comparable(value)


def _comparable(value: Any) -> Any:
    if isinstance(value, View):
        return value.subject.name, value.viewpoint.lane  # the reference names the whole service
    try:
        return plain(value)
    except ExpressionError:
        return str(type(value))


def properties_of(reading: Reading, subject: Subject, viewpoint: Viewpoint) -> dict[str, Any]:
    """Return every property of *subject* that has a value for *viewpoint*."""
    view, found = reading.resolver.view(subject.name, viewpoint), {}
    for key in property_names(subject):
        if key in _PARTS:
            continue
        try:
            found[key] = plain(view[key])
        except (ExpressionError, KeyError):
            continue
    return found
