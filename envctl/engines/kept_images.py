"""The start of a server whose data is part of its image."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from envctl.plan.model import ServicePlan

FIRST = """[ -e {done} ] || {{ {before}
: > {done}; }}
exec "$@"
"""


def begun(service: ServicePlan, image: str, entrypoint: Sequence[str], command: Sequence[str]) -> ServicePlan:
    """Return *service* with its data in the folder that `snapshot` of its kind names.

    Args:
        image: the image to run.
        entrypoint, command: those of the original image of the server.
    """
    kept = service.snapshot
    assert kept is not None
    own = () if kept.direct else tuple(service.entrypoint or entrypoint)
    if kept.before or kept.direct:
        own = ("sh", "-ec", FIRST.format(done=shlex.quote(f"{kept.folder}/.restored"), before=kept.before or ":"), "sh", *own)
    return replace(
        service, image=image, data=kept.folder, env={**service.env, **kept.env}, files={**service.files, **kept.files},
        command=(*(service.command or command), *kept.arguments), entrypoint=own,
    )  # fmt: skip
