"""The key of a snapshot: a hash of everything that its data depends on, without anything that belongs to one instance only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from envctl.plan.model import File, Plan, ServicePlan, Step
from envctl.snapshots import composed

FORMAT = 2
"""The version of the format. It must change with every change of how data is kept, or of what the key contains."""
HIDDEN = "\0secret\0"
Identity = Callable[[ServicePlan], str]
"""A function that returns the id of the program of a service, for example the id of its image."""


def kept_steps(service: ServicePlan) -> tuple[Step, ...]:
    """Return the leading seed steps whose result depends only on the definition and its files."""
    return tuple(takewhile(_repeatable, service.steps))


def _repeatable(step: Step) -> bool:
    """Return whether the result of *step* is always the same.

    `inputs` describe what the result of a command depends on. The answers of other services, as for `http`, are not known beforehand.
    """
    told = step.step.format != "command" or bool(step.step.inputs)
    return told and not step.needs and not step.personal and step.step.format != "http"


def can_be_kept(plan: Plan, service: ServicePlan) -> bool:
    """Return whether the data depends only on the kind and the seeds, and is worth keeping.

    A raw fragment may mount anything anywhere, and a program of the definition's own does not use the kind's folders.
    """
    own = service.run or service.replicas > 1 or service.personal or (service.compose and not service.from_compose)
    if service.snapshot is None or own or not (service.snapshot.always or kept_steps(service)):
        return False
    return not service.from_compose or composed.can_be_kept(plan, service)


def key_of(nobodys: Plan, name: str, identity: Identity) -> str:
    """Return the key of the data of service *name*.

    Args:
        nobodys: the plan without anything that belongs to one instance (`Plan.of_nobody`), so that the whole plan can be hashed.
        identity: returns the id of the program of a service.
    """
    service = nobodys.services[name]
    assert service.snapshot is not None
    steps = kept_steps(service)
    parts = {
        "format": FORMAT,
        "service": [service.kind, service.snapshot.kind, identity(service), service.user, service.data, service.ephemeral],
        "process": [service.entrypoint, service.command, dict(service.env), service.local],
        "files": {path: _digest(file) for path, file in service.files.items()},
        "snapshot": [dict(service.snapshot.env), service.snapshot.arguments, {p: _digest(f) for p, f in service.snapshot.files.items()}],
        "setup": service.setup,
        "steps": [step.hash for step in steps],
        "programs": list(_programs(nobodys, service, steps, identity)),
    }
    text = _without_secrets(json.dumps(parts, sort_keys=True, default=str), nobodys.secrets)
    if service.from_compose:  # the data contains the passwords of the file
        text += composed.told(nobodys, service)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return *text* without *secrets*, as JSON spells them and as URLs in JSON spell them."""
    for secret in sorted(secrets, key=lambda secret: (-len(secret), secret)):
        text = text.replace(json.dumps(secret)[1:-1], HIDDEN).replace(quote(secret, safe=""), HIDDEN)
    return text


def _programs(plan: Plan, service: ServicePlan, steps: Iterable[Step], identity: Identity) -> Iterator[Any]:
    """Yield the programs that made the data, and their variables.

    A program may depend on more than its inputs, so its data is used in its own project only.
    """
    for step in steps:
        if step.step.format == "command":
            other = plan.services.get(step.step.in_ or "")
            told = other.env if other else service.shell_env if step.step.in_ == "server" else plan.outputs
            image = identity(other) if other is not None and other.build is None else ""
            yield [str(plan.setting.project), step.command, image, dict(told if step.env is None else step.env)]


def _digest(file: File) -> list[Any]:
    return [file.digest, file.executable]
