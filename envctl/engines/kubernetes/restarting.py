"""The restart of a server that keeps its data: a new container in the same pod.

Data lives as long as its pod, and Kubernetes has no command that restarts a container. But the image of a pod can be changed, and the
kubelet then replaces this one container at once (https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement).
Another spelling of the same image name is such a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from envctl.engines.kubernetes.api import Api, Ignoring
from envctl.keeper.cluster.pod_status import is_running, own_container, own_status
from envctl.keeper.cluster.protocol import Object, path_of

HUB, LIBRARY = "docker.io/", "docker.io/library/"
PATIENCE, PAUSE = 60.0, 0.1
"""The seconds that a restart may take, and those between two checks."""


def other_spelling(image: str) -> str | None:
    """Return another name of the same image; None if there is none, which is the case outside Docker Hub."""
    for prefix in (LIBRARY, HUB):
        if image.startswith(prefix):
            return image.removeprefix(prefix)
    first, slash, _ = image.partition("/")
    if not slash:
        return LIBRARY + image
    return None if "." in first or ":" in first or first == "localhost" else HUB + image


def restart_in_place(api: Api, pod: Object, poll: Callable[[], Object | None]) -> bool:
    """Replace the pod's own container; return whether the new one runs. Return False if the container cannot be replaced.

    Args:
        poll: returns the current state of the pod; None if it no longer exists.
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
