"""Passwords of a manifest that others can work out."""

from __future__ import annotations

from collections.abc import Iterator

from envctl.plan.model import Plan


def given_away(plan: Plan) -> Iterator[str]:
    """A loss for services whose passwords follow from the name of the instance."""
    drawn = [service.name for service in plan.services.values() if service.drawn]
    if plan.setting.known_key and drawn:
        why = f"passwords are derived from the name {plan.setting.name}, so they are not secret"
        yield f"{', '.join(drawn)}: {why}; `--random` makes random ones"
