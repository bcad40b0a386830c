"""A server started again with its data: its container anew, in the same pod.

Data lives as long as its pod, and no verb of Kubernetes restarts a container. But a pod's image may be changed, and the kubelet then
replaces that one container at once (https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement): another
spelling of the same image's name is such a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from envctl.engines.kubernetes.api import Api, Ignoring
from envctl.keeper.cluster.pod_status import is_running, own_container, own_status
from envctl.keeper.cluster.protocol import Object, path_of

HUB, LIBRARY = "docker.io/", "docker.io/library/"
PATIENCE, PAUSE = 60.0, 0.1


def other_spelling(image: str) -> str | None:
    """The same image under its other name; None where it has but one (one of another registry)."""
    for prefix in (LIBRARY, HUB):
        if image.startswith(prefix):
            return image.removeprefix(prefix)
    first, slash, _ = image.partition("/")
    if not slash:
        return LIBRARY + image
    return None if "." in first or ":" in first or first == "localhost" else HUB + image


def restart_in_place(api: Api, pod: Object, poll: Callable[[], Object | None]) -> bool:
    """Whether the container has been replaced; False where that cannot be done.

    Args:
        poll: the pod as it is now.
    """
    name, meta = own_container(pod), pod["metadata"]
    image = next(str(c["image"]) for c in pod["spec"]["containers"] if c["name"] == name)
    other = other_spelling(image)
    if other is None:
        return False
    before, path = _restarts(pod), path_of("v1", "Pod", meta["namespace"], meta["name"])
    with Ignoring(403, 422):
        patch = {"spec": {"containers": [{"name": name, "image": other}]}}
        api.request("PATCH", path, patch, "application/strategic-merge-patch+json")
        return _restarted(before, poll)
    return False


def _restarted(before: int, poll: Callable[[], Object | None]) -> bool:
    until = time.monotonic() + PATIENCE
    while (now := poll()) is not None and time.monotonic() < until:
        if _restarts(now) > before and is_running(now):
            return True
        time.sleep(PAUSE)
    return False


def _restarts(pod: Object) -> int:
    return int(own_status(pod).get("restartCount", 0))
