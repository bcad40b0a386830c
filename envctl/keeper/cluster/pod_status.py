"""Facts about a pod, read from its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envctl.keeper.cluster.protocol import Object

MAIN_CONTAINER = "kubectl.kubernetes.io/default-container"
"""The annotation that names the service's own container; kubectl uses it, too."""
SEEDED = "envctl/seeded"
"""The condition of a pod that is seeded."""
SEEDING = "Seeding"
"""The reason of that condition while a process seeds the pod."""
NO_DATA = "none"
"""The value that stands for the id of the approved data when the data of a service is known to be incomplete."""
OURS = "envctl-"
"""The prefix of the names of containers that envctl adds to a pod."""


def uid(pod: Mapping[str, Any]) -> str:
    """Return the uid of a pod."""
    return str(pod["metadata"]["uid"])


def labels(pod: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of a pod."""
    return pod["metadata"].get("labels") or {}


def alive(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod is not being deleted."""
    return not pod["metadata"].get("deletionTimestamp")


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Return whether all containers of the pod have ended and will not be restarted."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def newest(pods: Iterable[Object]) -> Object | None:
    """Return the newest pod, preferring pods that are not being deleted; None if there are no pods."""
    return max(pods, key=lambda pod: (alive(pod), pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]), default=None)


def own_container(pod: Mapping[str, Any]) -> str:
    """Return the name of the service's own container.

    The pod's annotation names it, because a cluster may add other containers at any place. A pod of an older version of envctl has no
    annotation; there it is the first container that envctl has not added.
    """
    names = [str(c["name"]) for c in pod["spec"]["containers"]]
    named = (pod["metadata"].get("annotations") or {}).get(MAIN_CONTAINER)
    return named if named in names else next((name for name in names if not name.startswith(OURS)), names[0])


def own_status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of the service's own container; empty until Kubernetes reports one."""
    name = own_container(pod)
    return next((status for status in _statuses(pod) if status["name"] == name), {})


def is_running(pod: Mapping[str, Any]) -> bool:
    """Return whether the service's own container runs."""
    return "running" in own_status(pod).get("state", {})


def all_running(pod: Mapping[str, Any]) -> bool:
    """Return whether all containers run, including those that envctl has added."""
    return all("running" in status.get("state", {}) for status in _statuses(pod))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether all containers are ready; this does not say whether the pod is seeded (see `has_data`)."""
    told = _conditions(pod)
    return told.get("ContainersReady", told.get("Ready")) == "True"


def is_admitted(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod is ready for Kubernetes, including its readiness gates, so that other pods can reach it."""
    return _conditions(pod).get("Ready") == "True"


def has_data(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod is seeded, or has no readiness gate for that."""
    gates = [gate.get("conditionType") for gate in pod["spec"].get("readinessGates") or []]
    return SEEDED not in gates or is_seeded(pod)


def is_seeded(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod is marked as seeded."""
    return _conditions(pod).get(SEEDED) == "True"


def maker(pod: Mapping[str, Any]) -> str:
    """Return the worker that is seeding the pod, as its condition names it; "" if there is none."""
    given = pod.get("status", {}).get("conditions") or []
    return next((str(c.get("message", "")) for c in given if c["type"] == SEEDED and c.get("reason") == SEEDING), "")


def _conditions(pod: Mapping[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions") or []}


def exit_status(pod: Mapping[str, Any]) -> int | None:
    """Return the last exit status of the service's own container; None if it has not ended yet."""
    status = own_status(pod)
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state:
            return int(state["terminated"].get("exitCode", 0))
    return None


def data_ids(pod: Mapping[str, Any]) -> tuple[str, str]:
    """Return two data ids: of data that lives as long as the pod, and of data that lives as long as the service's own container."""
    return uid(pod), f"{uid(pod)} {own_status(pod).get('containerID', '')}"


def waiting(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the container's name, the reason and the message for each container that cannot start or waits for its restart."""
    for each in [*(pod.get("status", {}).get("initContainerStatuses") or []), *_statuses(pod)]:
        told = each.get("state", {}).get("waiting")
        if told and told.get("reason"):
            yield str(each["name"]), str(told["reason"]), str(told.get("message", ""))


def unschedulable(pod: Mapping[str, Any]) -> str:
    """Return why no node accepts the pod; "" if a node does or the scheduler has not tried yet."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message", "no node accepts it"))
    return ""


def _statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return pod.get("status", {}).get("containerStatuses") or []
