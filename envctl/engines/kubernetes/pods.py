"""What the status of a pod says, in the words of the engine's seam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.engines import ServiceState
from envctl.keeper.cluster.pod_status import exit_status, is_ready, is_running, labels, uid
from envctl.keeper.cluster.protocol import Object

SERVICE, INSTANCE = "envctl.service", "envctl.instance"
JOB = "job:"
"""Before the name of a Job that runs a command: its pods are of no service."""


def service_of(pod: Mapping[str, Any]) -> str:
    return labels(pod).get(SERVICE, "")


def owner_of(pod: Mapping[str, Any]) -> str:
    """Its service, or its Job."""
    job = labels(pod).get("batch.kubernetes.io/job-name", "")
    return service_of(pod) or (f"{JOB}{job}" if job else "")


def state_of(pod: Object | None) -> ServiceState:
    if pod is None:
        return ServiceState(False)
    health = "healthy" if is_ready(pod) else "starting"
    if is_running(pod):
        return ServiceState(True, None, health, id=uid(pod))
    return ServiceState(False, exit_status(pod), health, id=uid(pod))
