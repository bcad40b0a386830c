"""What a kind declares and its server cannot make by itself: one module each, with `declare(seeder, service)`, over the endpoint; `KEY` is
the property that holds what is declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from envctl.errors import Evidence, ServiceFailed
from envctl.plan.model import ServicePlan
from envctl.plan.reading import plain
from envctl.seeding import Seeder


def declare(seeder: Seeder, service: ServicePlan) -> None:
    """Makes all of it; what is there already stays.

    Raises:
        ServiceFailed: with the server's words.
    """
    for name in service.declares:
        import_module(f"envctl.seeding.declaring.{name}").declare(seeder, service)


def declared_by(service: ServicePlan) -> Iterator[tuple[str, Any]]:
    """The properties of *service* by which it says what is declared, with their values."""
    for name in service.declares:
        key = import_module(f"envctl.seeding.declaring.{name}").KEY
        yield key, plain(service.outside[key])


def refused(service: ServicePlan, what: str, words: object) -> ServiceFailed:
    """The error of one thing that is declared and could not be made."""
    return ServiceFailed(f"{service.name}: {what} cannot be made: {words}", Evidence(service.name, f"set-up of {what}"))
