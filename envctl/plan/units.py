"""What lanes and leases have of a server, named and evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envctl.definition.expressions import ExpressionError
from envctl.instance.units import Names, Unit
from envctl.plan.addressing import LEASED, TESTS, Viewpoint
from envctl.plan.reading import Reading, plain
from envctl.plan.subjects import Subject
from envctl.plan.views import property_names

_PARTS = ("inside", "outside", "first", "bind", "prefix")


def unit_of(reading: Reading, subject: Subject) -> Unit | None:
    """How the server *subject* is divided; None where its kind says nothing of that."""
    kind = subject.kind.unit
    if kind is None:
        return None
    leased = properties_of(reading, subject, TESTS._replace(lane=LEASED)) if kind.several or kind.parameter else {}
    names: tuple[Names, ...] = ()
    with reading.located("services", subject.name, "with"):
        names = tuple(_names(reading, subject))
    return Unit(kind.driver, names, properties_of(reading, subject, TESTS), leased)


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
    for item in seeded:
        template = str(resolver.named(subject, kind.template, item))
        yield Names(str(item), template, tuple(str(resolver.named(subject, kind.name, item, lane)) for lane in shared))


def properties_of(reading: Reading, subject: Subject, viewpoint: Viewpoint) -> dict[str, Any]:
    """Every property that has a value from there."""
    view, found = reading.resolver.view(subject.name, viewpoint), {}
    for key in property_names(subject):
        if key in _PARTS:
            continue
        try:
            found[key] = plain(view[key])
        except (ExpressionError, KeyError):
            continue
    return found
