"""Create the resources that a kind declares and its server cannot create by itself.

Each type of resource has one module with `declare(seeder, service)`, which uses the service's endpoint, and `KEY`, the name of the property
that lists the declared resources.
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
    """Create all declared resources; existing resources stay.

    Raises:
        ServiceFailed: The server refused a resource; the error has the server's message.
    """
    for name in service.declares:
        import_module(f"envctl.seeding.declaring.{name}").declare(seeder, service)


def declared_by(service: ServicePlan) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each property of *service* that lists declared resources."""
    for name in service.declares:
        key = import_module(f"envctl.seeding.declaring.{name}").KEY
        yield key, plain(service.outside[key])


def refused(service: ServicePlan, what: str, words: object) -> ServiceFailed:
    """Return the error for a declared resource that could not be created."""
    return ServiceFailed(f"{service.name}: {what} cannot be created: {words}", Evidence(service.name, f"set-up of {what}"))
