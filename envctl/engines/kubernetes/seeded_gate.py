"""The condition of a pod that its data has been made.

Until then, other pods cannot reach the pod, and all machines can see which command makes the data.
"""

from __future__ import annotations

from typing import Any

from envctl.engines.kubernetes.api import Api
from envctl.keeper.cluster.pod_status import SEEDED, SEEDING
from envctl.keeper.cluster.protocol import Object, path_of


def note_begun(api: Api, pod: Object, worker: str, as_read: bool = False) -> None:
    """Note in the pod's condition that the command *worker* makes the data.

    Args:
        as_read: whether to do so only if the pod has not changed since it was read.

    Raises:
        ApiError: the condition cannot be changed.
    """
    _note(api, pod, {"type": SEEDED, "status": "False", "reason": SEEDING, "message": worker}, as_read)


def open_gate(api: Api, pod: Object) -> None:
    """Note in the pod's condition that its data has been made.

    Raises:
        ApiError: the condition cannot be changed.
    """
    _note(api, pod, {"type": SEEDED, "status": "True", "reason": "Seeded", "message": ""})


def _note(api: Api, pod: Object, condition: dict[str, Any], as_read: bool = False) -> None:
    meta = pod["metadata"]
    path = f"{path_of('v1', 'Pod', meta['namespace'], meta['name'])}/status"
    # The uid is included because another pod may have the same name by now.
    known = ("uid", "resourceVersion") if as_read else ("uid",)
    change = {"metadata": {key: meta[key] for key in known}, "status": {"conditions": [condition]}}
    api.request("PATCH", path, change, "application/strategic-merge-patch+json")
