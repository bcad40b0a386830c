"""Create the units of an instance when its servers are seeded, and reset them. A reset needs only the record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import DataRecord, Record, ServiceRecord
from envctl.instance.units import Names, Unit
from envctl.outputs.worker_lane import outputs_of
from envctl.process.threads import each
from envctl.units import Driver, DriverMissing, Prepares, TemplateGone, opened
from envctl.units.connections import once


def make(unit: Unit, ports: Mapping[str, int], made: Collection[str]) -> list[str]:
    """Keep a template of the seeded data, create the units of lanes from it, and return the names of all that exist now.

    Args:
        ports: port name to the number where the server can be reached on this machine now.
        made: names that exist already and are skipped.
    """
    with opened(unit.driver, reached(unit.server, ports)) as driver:
        for names in unit.names:
            if names.template not in made:
                driver.keep(names.base, names.template)
            for lane in names.lanes:
                if lane not in made:
                    driver.clone(names.template, lane)
    return made_of(unit)


def made_of(unit: Unit) -> list[str]:
    """Return the names that `make` creates."""
    return [name for names in unit.names for name in (names.template, *names.lanes)]


def reached(server: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    """Return *server* with the *ports* that answer now; they differ from its own ports while its endpoints refuse other clients."""
    told: dict[str, Any] = server.get("ports") or {}
    answering = {name: number for name, number in ports.items() if number}
    main = next(
        (answering[name] for name, number in told.items() if number == server.get("port") and name in answering), server.get("port")
    )
    return {**server, "port": main, "ports": {**told, **answering}}


class Resettable(NamedTuple):
    """A service, and the units of it that a reset restores."""

    name: str
    unit: Unit
    lanes: tuple[int, ...]
    """The numbers of the lanes to reset; empty if the server is not divided into lanes."""
    seeded: bool
    """The server was seeded but can only be emptied, so that its seeds must run again."""


def resettable(record: Record, services: Sequence[str], lane: int | None) -> list[Resettable]:
    """Return which of *services* a driver can reset, in *lane* or everywhere; the data of the rest must be recreated."""
    return list(_resettable(record, services, lane))


def _resettable(record: Record, services: Sequence[str], lane: int | None) -> Iterator[Resettable]:
    for name in services:
        service, data = record.services[name], record.data.get(name, DataRecord(""))
        unit = service.unit
        if unit is None or not set(made_of(unit)) <= set(data.units):
            continue
        lanes = (lane,) if lane is not None and not service.lane else range(1, len(record.lanes) + 1)
        divided = bool(unit.names and unit.names[0].lanes)
        yield Resettable(name, unit, tuple(lanes) if divided else (), bool(data.steps) and not unit.names)


Use = Callable[[str, Mapping[str, Any], Callable[[Driver], None]], None]
"""A function that calls another one with the named driver, connected to the server; `envctl.units.connections` has two."""


def reset(found: Sequence[Resettable], use: Use = once) -> list[str]:
    """Reset units in parallel; return the names of services that could not be reset, because their template or their driver is missing."""
    lost: list[str] = []

    def one(what: Resettable) -> None:
        try:
            use(what.unit.driver, what.unit.server, partial(_reset, what))
        except (TemplateGone, DriverMissing):
            lost.append(what.name)

    each(one, found)
    return lost


def prepare(found: Sequence[Resettable], use: Use = once) -> None:
    """Do in advance whatever makes the next reset faster."""

    def one(what: Resettable) -> None:
        with suppress(TemplateGone, DriverMissing):
            use(what.unit.driver, what.unit.server, partial(_prepare, what))

    each(one, [what for what in found if what.unit.names])


def _own(names: Names, what: Resettable) -> list[str]:
    return [names.lanes[lane - 1] for lane in what.lanes] or [names.base]


def _prepare(what: Resettable, driver: Driver) -> None:
    for names in what.unit.names if isinstance(driver, Prepares) else ():
        for unit in _own(names, what):
            driver.prepare(names.template, unit)  # type: ignore[attr-defined]


def _reset(what: Resettable, driver: Driver) -> None:
    if not what.unit.names:
        driver.reset("", "")
    for names in what.unit.names:
        for unit in _own(names, what):
            driver.reset(names.template, unit)


def services_of(record: Record, wanted: Sequence[str], lane: int | None) -> list[str]:
    """Return the services of *record* to reset: those in *wanted*, by their names in the definition or the record, or else all.

    Raises:
        UsageError: there is no such service or lane.
    """
    if lane is not None:
        outputs_of(record, lane)
    there = {name: service for name, service in record.services.items() if lane is None or service.lane in (0, lane)}
    for name in wanted:
        if not any(_called(each, service, name) for each, service in there.items()):
            known = list(dict.fromkeys(service.written or each for each, service in there.items()))
            where = f"{record.name}, lane {lane}," if lane else record.name
            raise UsageError(f"{where} has no service '{name}'", hint=did_you_mean(name, known))
    return [each for each, service in there.items() if not wanted or any(_called(each, service, name) for name in wanted)]


def _called(own: str, service: ServiceRecord, name: str) -> bool:
    return name in (own, service.written)
