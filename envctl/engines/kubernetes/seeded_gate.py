"""The gate of a pod whose data is made after it has started: nobody inside reaches it before that, and all machines see who makes it."""

from __future__ import annotations

from typing import Any

from envctl.engines.kubernetes.api import Api
from envctl.keeper.cluster.pod_status import SEEDED, SEEDING
from envctl.keeper.cluster.protocol import Object, path_of


def note_begun(api: Api, pod: Object, worker: str, as_read: bool = False) -> None:
    """*worker* makes its data.

    Args:
        as_read: only if nothing of the pod has changed since it was read.

    Raises:
        ApiError: that cannot be said.
    """
    _note(api, pod, {"type": SEEDED, "status": "False", "reason": SEEDING, "message": worker}, as_read)


def open_gate(api: Api, pod: Object) -> None:
    """Its data is made. Raises ApiError: that cannot be said."""
    _note(api, pod, {"type": SEEDED, "status": "True", "reason": "Seeded", "message": ""})


def _note(api: Api, pod: Object, condition: dict[str, Any], as_read: bool = False) -> None:
    meta = pod["metadata"]
    path = f"{path_of('v1', 'Pod', meta['namespace'], meta['name'])}/status"
    # With its uid: another pod may have the name by now.
    known = ("uid", "resourceVersion") if as_read else ("uid",)
    change = {"metadata": {key: meta[key] for key in known}, "status": {"conditions": [condition]}}
    api.request("PATCH", path, change, "application/strategic-merge-patch+json")
