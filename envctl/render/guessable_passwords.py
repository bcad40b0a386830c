"""Report passwords in a manifest that others can compute."""

from __future__ import annotations

from collections.abc import Iterator

from envctl.plan.model import Plan


def given_away(plan: Plan) -> Iterator[str]:
    """Yield a loss that names the services whose passwords are derived from the instance's name, if there are any."""
    drawn = [service.name for service in plan.services.values() if service.drawn]
    if plan.setting.known_key and drawn:
        why = f"passwords are derived from the name {plan.setting.name}, so they are not secret"
        yield f"{', '.join(drawn)}: {why}; `--random` makes random ones"
