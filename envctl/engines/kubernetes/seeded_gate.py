"""The gate of a pod whose data is made after it has started: nobody inside reaches it before that, and all machines see who makes it."""

from __future__ import annotations

from typing import Any

from envctl.engines.kubernetes.api import Api
from envctl.keeper.cluster.pod_status import SEEDED, SEEDING
from envctl.keeper.cluster.protocol import Object, path_of


def note_begun(api: Api, pod: Object, worker: str) -> None:
    """*worker* makes its data. Raises ApiError: that cannot be said."""
    _note(api, pod, {"type": SEEDED, "status": "False", "reason": SEEDING, "message": worker})


def open_gate(api: Api, pod: Object) -> None:
    """Its data is made. Raises ApiError: that cannot be said."""
    _note(api, pod, {"type": SEEDED, "status": "True", "reason": "Seeded", "message": ""})


def _note(api: Api, pod: Object, condition: dict[str, Any]) -> None:
    meta = pod["metadata"]
    path = f"{path_of('v1', 'Pod', meta['namespace'], meta['name'])}/status"
    # With its uid: another pod may have the name by now.
    change = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}}
    api.request("PATCH", path, change, "application/strategic-merge-patch+json")
