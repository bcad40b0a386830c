"""The state of a pod, and one sentence about why it does not start, as soon as it cannot recover by itself.

Kubernetes repeats some failing steps forever, such as an image pull. Without this sentence, users would only see that a timeout has passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from envctl.engines.protocol import ServiceState
from envctl.instance.labels import SERVICE
from envctl.keeper.cluster import pod_status
from envctl.keeper.cluster.protocol import Object

JOB = "job:"
"""The prefix for the name of a Job that runs a command; the pods of such a Job belong to no service."""
HICCUP = 12.0
"""The seconds in which a registry, or the kubelet's cached copy of a Secret, may recover."""
PULL = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ErrImageInspect", "RegistryUnavailable")
CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")


def service_of(pod: Mapping[str, Any]) -> str:
    """Return the service of the pod; empty if it belongs to none."""
    return pod_status.labels(pod).get(SERVICE, "")


def owner_of(pod: Mapping[str, Any]) -> str:
    """Return the service of the pod or, after the prefix JOB, its Job; empty if it belongs to neither."""
    job = pod_status.labels(pod).get("batch.kubernetes.io/job-name", "")
    return service_of(pod) or (f"{JOB}{job}" if job else "")


def replicas(pods: Iterable[Object]) -> list[Object]:
    """Return the newest pod, with the other pods of its controller that are not being deleted; for a Job, only the newest pod."""
    everything = list(pods)
    last = pod_status.newest(everything)
    if last is None:
        return []
    owner = _controller(last)
    if not owner or owner.get("kind") == "Job":
        return [last]
    beside = [pod for pod in everything if pod_status.alive(pod) and _controller(pod).get("uid") == owner.get("uid")]
    return sorted(beside, key=lambda pod: str(pod["metadata"]["name"])) or [last]


def _controller(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((each for each in pod["metadata"].get("ownerReferences") or [] if each.get("controller")), {})


def state_of(pod: Object | None) -> ServiceState:
    """Return the state of a service that has only this pod."""
    if pod is None:
        return ServiceState()
    running = pod_status.is_running(pod)
    health = "healthy" if pod_status.is_ready(pod) else "starting"
    return ServiceState(
        running, None if running else pod_status.exit_status(pod), health, id=pod_status.uid(pod), data_ids=pod_status.data_ids(pod)
    )


def service_state(pods: Iterable[Object]) -> ServiceState:
    """Return the state of a service: that of its first replica that does not run, else that of its first replica."""
    states = [state_of(pod) for pod in replicas(pods)]
    return next((state for state in states if not state.running), states[0] if states else ServiceState())


class PodFailure(NamedTuple):
    """A failure in one sentence, with advice; *patience* is the number of seconds in which the pod may still recover."""

    what: str
    advice: str
    step: str = "start"
    patience: float = 0.0


def failure_of(pod: Mapping[str, Any]) -> PodFailure | None:
    """Return what keeps this pod from running and does not resolve by itself; None if there is no such failure."""
    for container, reason, message in pod_status.waiting(pod):
        if reason in PULL:
            return _pull(pod, container, reason, message)
        if reason in CREATE:
            what = f"its container {container} cannot be created: {_line(message) or reason}"
            patience = 0.0 if _final(message) else HICCUP
            return PodFailure(what, "`kubectl describe pod` shows the details", patience=patience)
        if reason == "CrashLoopBackOff" and container != pod_status.own_status(pod).get("name"):
            return PodFailure(f"its container {container} keeps exiting", "its log says why: `envctl logs`")
    if why := pod_status.unschedulable(pod):
        return PodFailure(f"no node accepts it: {_line(why)}", _room(why), "schedule", patience=10.0)
    if pod.get("status", {}).get("reason") == "Evicted":
        why = _line(str(pod["status"].get("message", "")))
        return PodFailure(f"it was evicted: {why}", "the node has too little of that: lower `resources:`, or give the cluster more")
    return None


def _pull(pod: Mapping[str, Any], container: str, reason: str, message: str) -> PodFailure:
    spec = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    image = next((str(c["image"]) for c in spec if c["name"] == container), "")
    patience = 0.0 if reason in ("ErrImageNeverPull", "InvalidImageName") or _final(message) else HICCUP
    return PodFailure(f"the image {image} cannot be pulled: {_cause(message) or reason}", _pull_advice(message), "pull", patience)


def _final(message: str) -> bool:
    return any(word in message.lower() for word in ("not found", "denied", "unauthorized", "invalid", "manifest unknown", "no such host"))


def _pull_advice(message: str) -> str:
    if any(word in message.lower() for word in ("denied", "unauthorized", "authentication")):
        return "name the pull secrets in envctl.toml: `[kubernetes] pull_secrets`"
    return "for an image built here use `--registry R`, for a mirror `images` in envctl.toml, for another image `--image S=REF`"


def _cause(message: str) -> str:
    """Return the innermost part of a message of containerd, which repeats the reason in three layers."""
    parts = [part.strip(' "') for part in re.split(r": ", _line(message)) if part.strip()]
    return ": ".join(parts[-2:]) if len(parts) > 3 else _line(message)


def _room(why: str) -> str:
    if "Insufficient" in why:
        return "ask for less in `resources:`, remove other instances (`envctl list --all`), or give the cluster a bigger node"
    if "taint" in why:
        return "the nodes are tainted: `[kubernetes] tolerations` of envctl.toml, or a `kubernetes:` fragment, adds tolerations"
    return "`kubectl describe pod` shows what it asks for"


REFUSED = (
    (
        re.compile(r"exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)$"),
        "the quota {0} of the namespace is exceeded: it asks for {1}, and {2} of {3} are used",
        "ask for less in `resources:`, remove other instances, or have the quota raised",
    ),
    (
        re.compile(r"failed quota: ([^:]+): must specify (.+)$"),
        "the quota {0} of the namespace requires {1}",
        "set it in `resources:` of the service, or in a `kubernetes:` fragment for a container that you add",
    ),
    (
        re.compile(r"forbidden: \[?((?:maximum|minimum) .+ usage per .+?|.+ max limit to request ratio per .+?)\]?$"),
        "a LimitRange of the namespace refuses it: {0}",
        "keep `resources:` of the service within it (cpu, memory, storage); `kubectl describe limitrange` shows all limits",
    ),
    (
        re.compile(r'violates PodSecurity "([^"]+)": (.+)$'),
        "Pod Security ({0}) refuses its pod: {1}",
        "a `kubernetes:` fragment asks for more than the namespace allows, or its image needs root",
    ),
    (
        re.compile(r"admission webhook \"([^\"]+)\" denied the request: ?(.*)$"),
        "the cluster's admission webhook {0} refuses it: {1}",
        "this is a rule of the cluster; `[kubernetes] labels` in envctl.toml and `kubernetes:` of a service can add what it requires",
    ),
    (
        re.compile(r"unable to validate against any security context constraint: ?(.+)$"),
        "the cluster's security context constraints refuse its pod: {0}",
        '`[kubernetes] users = "namespace"` of envctl.toml leaves the user to the cluster, as OpenShift requires',
    ),
    (re.compile(r"forbidden: (.+)$"), "the cluster refuses its pod: {0}", "`envctl doctor` shows the rights that are needed"),
)
"""The pattern of a refusal, what it means, and what would help; the first pattern that matches counts."""


def refusal_of(event: Mapping[str, Any]) -> PodFailure | None:
    """Return why a controller cannot create pods; None if the event is about something else."""
    return refusal(str(event.get("message", ""))) if event.get("reason") == "FailedCreate" else None


def refusal(message: str) -> PodFailure | None:
    """Return the meaning of the API server's refusal; None if no pattern matches."""
    text = _line(message)
    for pattern, what, advice in REFUSED:
        if found := pattern.search(text):
            return PodFailure(what.format(*found.groups()), advice, "admission")
    return None


def scaling_up(events: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether an autoscaler is adding a node, according to the events."""
    return any(event.get("reason") == "TriggeredScaleUp" for event in events)


def _line(text: str) -> str:
    return " ".join(text.split())
