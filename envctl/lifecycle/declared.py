"""Hashes of what creates a server's data: the scripts of its first start, which never run on existing data, and its set-up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from envctl.plan.model import ServicePlan
from envctl.seeding.declaring import declared_by
from envctl.snapshots.composed import SCRIPTS


def first_of(service: ServicePlan) -> str:
    """Return a hash of the scripts of the first start; empty if the kind has none, or if a Compose file defines the service."""
    scripts = list(_scripts(service))
    may_have = bool(scripts or (service.snapshot and service.snapshot.always))
    return _hashed(scripts) if may_have and not service.from_compose else ""


def made_of(service: ServicePlan) -> str:
    """Return a hash of what the set-up creates; empty without set-up."""
    return _hashed([service.setup, dict(declared_by(service))]) if service.sets_up else ""


def _scripts(service: ServicePlan) -> Iterator[Any]:
    for path, file in sorted(service.files.items()):
        if path.startswith(f"{SCRIPTS}/"):
            yield path, file.digest
    for step in service.local.first if service.local else ():
        yield step.stdin


def _hashed(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
