"""What a cluster wants of everything that is put into it: `[kubernetes]` of envctl.toml, kept with the instance."""

from __future__ import annotations

from typing import Any

from envctl.instance import load
from envctl.plan.model import Plan
from envctl.render.kubernetes import Options


def options_of(plan: Plan, namespace: str) -> Options:
    """As `up` was given them: later commands come from other folders."""
    record = load(plan.setting.id)
    told: dict[str, Any] = dict(record.options.get("kubernetes", {})) if record is not None else {}
    return Options(
        standalone=False,
        namespace=namespace,
        registry=plan.setting.registry,
        labels=dict(told.get("labels", {})),
        pull_secrets=tuple(told.get("pull_secrets", ())),
        priority_class=str(told.get("priority_class", "")),
        quota=dict(told.get("quota", {})),
        expires=record.expires if record is not None else None,
    )
