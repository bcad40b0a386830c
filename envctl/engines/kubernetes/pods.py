"""What the status of a pod says, in the words of the engine's seam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envctl.engines.seam import ServiceState
from envctl.instance.labels import SERVICE
from envctl.keeper.cluster.pod_status import alive, exit_status, is_ready, is_running, labels, newest, uid
from envctl.keeper.cluster.protocol import Object

JOB = "job:"
"""Before the name of a Job that runs a command: its pods are of no service."""


def service_of(pod: Mapping[str, Any]) -> str:
    return labels(pod).get(SERVICE, "")


def owner_of(pod: Mapping[str, Any]) -> str:
    """Its service, or its Job."""
    job = labels(pod).get("batch.kubernetes.io/job-name", "")
    return service_of(pod) or (f"{JOB}{job}" if job else "")


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


def state_of(pod: Object | None) -> ServiceState:
    if pod is None:
        return ServiceState()
    health = "healthy" if is_ready(pod) else "starting"
    if is_running(pod):
        return ServiceState(True, None, health, id=uid(pod))
    return ServiceState(False, exit_status(pod), health, id=uid(pod))


def service_state(pods: Iterable[Object]) -> ServiceState:
    """That of a service: of several replicas the first that does not run."""
    states = [state_of(pod) for pod in replicas(pods)]
    return next((state for state in states if not state.running), states[0] if states else ServiceState())
