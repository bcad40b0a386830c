"""A server started again with its data: its container anew, in the same pod.

Data lives as long as its pod, and no verb of Kubernetes restarts a container. But a pod's image may be changed, and the kubelet then
replaces that one container at once (https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement): another
spelling of the same image's name is such a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from envctl.engines.kubernetes.api import Api, ApiError
from envctl.keeper.cluster.pod_status import own_container, own_status
from envctl.keeper.cluster.protocol import Object, path_of

HUB, LIBRARY = "docker.io/", "docker.io/library/"
PATIENCE, PAUSE = 60.0, 0.1


def other_spelling(image: str) -> str | None:
    """The same image under its other name; None where it has but one (one of another registry)."""
    if image.startswith(LIBRARY):
        return image.removeprefix(LIBRARY)
    if image.startswith(HUB):
        return image.removeprefix(HUB)
    first, slash, _ = image.partition("/")
    if not slash:
        return LIBRARY + image
    return None if "." in first or ":" in first or first == "localhost" else HUB + image


def restart_in_place(api: Api, pod: Object, look: Callable[[], Object | None]) -> bool:
    """Whether the container has been replaced; False where that cannot be done.

    Args:
        look: the pod as it is now.
    """
    name, meta = own_container(pod), pod["metadata"]
    image = next(str(c["image"]) for c in pod["spec"]["containers"] if c["name"] == name)
    other = other_spelling(image)
    if other is None:
        return False
    before = int(own_status(pod).get("restartCount", 0))
    patch = {"spec": {"containers": [{"name": name, "image": other}]}}
    try:
        api.request("PATCH", path_of("v1", "Pod", meta["namespace"], meta["name"]), patch, "application/strategic-merge-patch+json")
    except ApiError as error:
        if error.status in (403, 422):
            return False
        raise
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        now = look()
        if now is None:
            return False
        if int(own_status(now).get("restartCount", 0)) > before and "running" in own_status(now).get("state", {}):
            return True
        time.sleep(PAUSE)
    return False
