"""The key of a snapshot: a hash of everything that its data depends on, and of nothing that is an instance's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from envctl.plan.model import File, Plan, ServicePlan, Step
from envctl.snapshots import composed

FORMAT = 1
"""Another one for every change of how data is kept, or of what its key says."""
HIDDEN = "\0secret\0"
Identity = Callable[[ServicePlan], str]
"""What runs a service, by its content: the id of an image, say."""


def kept_steps(service: ServicePlan) -> tuple[Step, ...]:
    """The first of its seed steps, as far as their result depends on the definition and its files alone."""
    return tuple(takewhile(_repeatable, service.steps))


def _repeatable(step: Step) -> bool:
    """A program says by `inputs` what its result depends on; what others answer while they run says nobody."""
    told = step.step.format != "command" or bool(step.step.inputs)
    return told and not step.needs and not step.personal and step.step.format != "http"


def can_be_kept(plan: Plan, service: ServicePlan) -> bool:
    """Whether its data is the work of its kind and its seeds alone, and worth anything.

    A raw fragment may put anything anywhere, and a program of the definition's own knows nothing of the kind's folders.
    """
    own = service.run or service.replicas > 1 or service.personal or (service.compose and not service.from_compose)
    if service.snapshot is None or own or not (service.snapshot.always or kept_steps(service)):
        return False
    return not service.from_compose or composed.can_be_kept(plan, service)


def key_of(nobodys: Plan, name: str, identity: Identity) -> str:
    """The key of the data of service *name*.

    Args:
        nobodys: the plan without what is an instance's own (`Plan.of_nobody`), so that all that is in it counts.
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
    if service.from_compose:  # the passwords of the file are in the data, too
        text += composed.told(nobodys, service)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _without_secrets(text: str, secrets: Iterable[str]) -> str:
    """As JSON has them, and as they stand in a URL there."""
    for secret in sorted(secrets, key=lambda secret: (-len(secret), secret)):
        text = text.replace(json.dumps(secret)[1:-1], HIDDEN).replace(quote(secret, safe=""), HIDDEN)
    return text


def _programs(plan: Plan, service: ServicePlan, steps: Iterable[Step], identity: Identity) -> Iterator[Any]:
    """What else made the data, and what it was told. A program may do more than its inputs say: its data is for its own project alone."""
    for step in steps:
        if step.step.format == "command":
            other = plan.services.get(step.step.in_ or "")
            told = other.env if other else service.shell_env if step.step.in_ == "server" else plan.outputs
            image = identity(other) if other is not None and other.build is None else ""
            yield [str(plan.setting.project), step.command, image, dict(told if step.env is None else step.env)]


def _digest(file: File) -> list[Any]:
    return [file.digest, file.executable]
