"""The changes that options of the command line make to an environment before its plan is made. Each is a module, listed in TRANSFORMS."""

from __future__ import annotations

from collections.abc import Callable

from envctl.environment import Environment
from envctl.plan.model import Selection
from envctl.plan.transforms.lanes import lanes
from envctl.plan.transforms.select import select

__all__ = ["Selection", "TRANSFORMS", "apply"]

TRANSFORMS: tuple[Callable[[Environment, Selection], Environment], ...] = (select, lanes)
"""The transforms in the order in which they are applied; each reads its own options."""


def apply(environment: Environment, options: Selection) -> Environment:
    """Return *environment* with all changes that *options* ask for.

    Raises:
        DefinitionError: a service cannot have lanes.
        UsageError: an option names a service that does not exist, or has an invalid value.
    """
    for transform in TRANSFORMS:
        environment = transform(environment, options)
    return environment
