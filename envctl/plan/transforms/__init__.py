"""Environment -> Environment: what is changed before a plan is made. One file a transform, and its line in TRANSFORMS."""

from __future__ import annotations

from collections.abc import Callable

from envctl.environment import Environment
from envctl.plan.model import Selection
from envctl.plan.transforms.lanes import lanes
from envctl.plan.transforms.select import select

__all__ = ["Selection", "TRANSFORMS", "apply"]

TRANSFORMS: tuple[Callable[[Environment, Selection], Environment], ...] = (select, lanes)
"""In the order in which they are applied; each takes from the options what is its own."""


def apply(environment: Environment, options: Selection) -> Environment:
    """*environment* with everything changed that *options* say.

    Raises:
        UsageError: they name a service that is not there, or a URL that is none.
    """
    for transform in TRANSFORMS:
        environment = transform(environment, options)
    return environment
