"""What the status of a pod says, in the words of the engine's seam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envctl.engines.kubernetes.api import Object
from envctl.engines.seam import ServiceState
from envctl.instance.labels import SERVICE

OURS = "envctl-"
"""Containers whose names begin so are ours, beside the service's own."""


JOB = "job:"
"""Before the name of a Job that runs a command: its pods are of no service."""


def service_of(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(SERVICE, ""))


def owner_of(pod: Mapping[str, Any]) -> str:
    """Its service, or its Job."""
    job = (pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", "")
    return service_of(pod) or (f"{JOB}{job}" if job else "")


def uid(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def alive(pod: Mapping[str, Any]) -> bool:
    """It is not on its way out."""
    return not pod["metadata"].get("deletionTimestamp")


def newest(pods: Iterable[Object]) -> Object | None:
    """The one that counts: not going, and the last one made."""
    return max(pods, key=lambda pod: (alive(pod), pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]), default=None)


def replicas(pods: Iterable[Object]) -> list[Object]:
    """Those that count: the newest, and those beside it that are not going and come from the same controller; of a Job's the newest."""
    everything = list(pods)
    last = newest(everything)
    if last is None:
        return []
    owner = _controller(last)
    if not owner or owner.get("kind") == "Job":
        return [last]
    beside = [pod for pod in everything if alive(pod) and _controller(pod).get("uid") == owner.get("uid")]
    return sorted(beside, key=lambda pod: str(pod["metadata"]["name"])) or [last]


def _controller(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((each for each in pod["metadata"].get("ownerReferences") or [] if each.get("controller")), {})


def own_container(pod: Mapping[str, Any]) -> str:
    return next(str(c["name"]) for c in pod["spec"]["containers"] if not str(c["name"]).startswith(OURS))


def own_status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the service's own container; empty until there is one."""
    name, statuses = own_container(pod), pod.get("status", {}).get("containerStatuses") or []
    return next((status for status in statuses if status["name"] == name), {})


def is_running(pod: Mapping[str, Any]) -> bool:
    return "running" in own_status(pod).get("state", {})


def is_ready(pod: Mapping[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions") or [])


def exit_status(pod: Mapping[str, Any]) -> int | None:
    """Of the service's own container, where it has ended: now, or the time before."""
    status = own_status(pod)
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state:
            return int(state["terminated"].get("exitCode", 0))
    return None


def state_of(pod: Object | None) -> ServiceState:
    if pod is None:
        return ServiceState()
    health = "healthy" if is_ready(pod) else "starting"
    if is_running(pod):
        return ServiceState(True, None, health, id=uid(pod))
    return ServiceState(False, exit_status(pod), health, id=uid(pod))


def waiting(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Container, reason and message of every container that cannot start, or is waiting to be started again."""
    status = pod.get("status", {})
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        told = each.get("state", {}).get("waiting")
        if told and told.get("reason"):
            yield str(each["name"]), str(told["reason"]), str(told.get("message", ""))


def unschedulable(pod: Mapping[str, Any]) -> str:
    """Why no node takes it; empty where one does, or nobody has tried yet."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message", "no node takes it"))
    return ""


def service_state(pods: Iterable[Object]) -> ServiceState:
    """That of a service: of several replicas the first that does not run."""
    states = [state_of(pod) for pod in replicas(pods)]
    return next((state for state in states if not state.running), states[0] if states else ServiceState())
