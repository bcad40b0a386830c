"""What the JSON of a pod says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envctl.keeper.cluster.protocol import Object

MAIN_CONTAINER = "kubectl.kubernetes.io/default-container"
"""The annotation that names it; kubectl follows it, too."""
SEEDED = "envctl/seeded"
"""The condition of a pod whose data has been made."""
SEEDING = "Seeding"
"""Its reason while somebody makes the data."""
NO_DATA = "none"
"""In the place of the id of approved data: whatever is there, something of it is missing."""
OURS = "envctl-"
"""Containers whose names begin so are ours, beside the service's own."""


def uid(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def labels(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def alive(pod: Mapping[str, Any]) -> bool:
    """It is not on its way out."""
    return not pod["metadata"].get("deletionTimestamp")


def has_ended(pod: Mapping[str, Any]) -> bool:
    """All its containers have, for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def newest(pods: Iterable[Object]) -> Object | None:
    """The one that counts: not going, and the last one made."""
    return max(pods, key=lambda pod: (alive(pod), pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]), default=None)


def own_container(pod: Mapping[str, Any]) -> str:
    """The service's own: the one that the pod names, for a cluster may add others anywhere; of an older pod the first that is not ours."""
    names = [str(c["name"]) for c in pod["spec"]["containers"]]
    named = (pod["metadata"].get("annotations") or {}).get(MAIN_CONTAINER)
    return named if named in names else next((name for name in names if not name.startswith(OURS)), names[0])


def own_status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the service's own container; empty until there is one."""
    name = own_container(pod)
    return next((status for status in _statuses(pod) if status["name"] == name), {})


def is_running(pod: Mapping[str, Any]) -> bool:
    return "running" in own_status(pod).get("state", {})


def all_running(pod: Mapping[str, Any]) -> bool:
    """With our containers beside the service's own."""
    return all("running" in status.get("state", {}) for status in _statuses(pod))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Its containers are: whether it has its data is asked separately."""
    told = _conditions(pod)
    return told.get("ContainersReady", told.get("Ready")) == "True"


def is_admitted(pod: Mapping[str, Any]) -> bool:
    """Others reach it: no gate of its keeps it from being ready."""
    return _conditions(pod).get("Ready") == "True"


def has_data(pod: Mapping[str, Any]) -> bool:
    """Nothing says that its data is not made yet."""
    gates = [gate.get("conditionType") for gate in pod["spec"].get("readinessGates") or []]
    return SEEDED not in gates or is_seeded(pod)


def is_seeded(pod: Mapping[str, Any]) -> bool:
    """Somebody has said that its data is made."""
    return _conditions(pod).get(SEEDED) == "True"


def maker(pod: Mapping[str, Any]) -> str:
    """Who has begun to make its data and has not said that it is made; empty where nobody has."""
    given = pod.get("status", {}).get("conditions") or []
    return next((str(c.get("message", "")) for c in given if c["type"] == SEEDED and c.get("reason") == SEEDING), "")


def _conditions(pod: Mapping[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions") or []}


def exit_status(pod: Mapping[str, Any]) -> int | None:
    """Of the service's own container, where it has ended: now, or the time before."""
    status = own_status(pod)
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state:
            return int(state["terminated"].get("exitCode", 0))
    return None


def data_ids(pod: Mapping[str, Any]) -> tuple[str, str]:
    """The id of data that lives as long as the pod, and of data that goes with the service's own container."""
    return uid(pod), f"{uid(pod)} {own_status(pod).get('containerID', '')}"


def waiting(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Container, reason and message of every container that cannot start, or is waiting to be started again."""
    for each in [*(pod.get("status", {}).get("initContainerStatuses") or []), *_statuses(pod)]:
        told = each.get("state", {}).get("waiting")
        if told and told.get("reason"):
            yield str(each["name"]), str(told["reason"]), str(told.get("message", ""))


def unschedulable(pod: Mapping[str, Any]) -> str:
    """Why no node accepts it; empty where one does, or nobody has tried yet."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message", "no node accepts it"))
    return ""


def _statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return pod.get("status", {}).get("containerStatuses") or []
