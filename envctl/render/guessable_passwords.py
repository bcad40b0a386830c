"""Passwords of a manifest that others can work out."""

from __future__ import annotations

from collections.abc import Iterator

from envctl.plan.model import Plan


def given_away(plan: Plan) -> Iterator[str]:
    """A loss for services whose passwords follow from the name of the instance."""
    drawn = [service.name for service in plan.services.values() if service.drawn]
    if plan.setting.known_key and drawn:
        yield f"{', '.join(drawn)}: passwords follow from the name {plan.setting.name}, and whoever knows it; `--random` draws others"
