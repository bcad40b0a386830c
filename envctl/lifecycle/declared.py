"""What a server is made with: by the scripts of its first start, which nobody runs again on data that is there; and by its set-up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from envctl.plan.model import ServicePlan
from envctl.seeding.declaring import declared_by
from envctl.snapshots.composed import SCRIPTS


def first_of(service: ServicePlan) -> str:
    """A hash of its first scripts; empty where its kind has none, or where a Compose file says what becomes of them."""
    scripts = list(_scripts(service))
    may_have = bool(scripts or (service.snapshot and service.snapshot.always))
    return _hashed(scripts) if may_have and not service.from_compose else ""


def made_of(service: ServicePlan) -> str:
    """A hash of what its set-up makes; empty where it has none."""
    return _hashed([service.setup, dict(declared_by(service))]) if service.sets_up else ""


def _scripts(service: ServicePlan) -> Iterator[Any]:
    for path, file in sorted(service.files.items()):
        if path.startswith(f"{SCRIPTS}/"):
            yield path, file.digest
    for step in service.local.first if service.local else ():
        yield step.stdin


def _hashed(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
