"""Each reason why a pod does not start is reported as one sentence with advice."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.engines.kubernetes.pods import failure_of, refusal, refusal_of, scaling_up


def pod(reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "db", "state": {"waiting": {"reason": reason, "message": message}}}]} if reason else {}
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "db", "image": "postgres:17"}]}, "status": status | more}


PULL = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "postgres:17": failed to resolve reference: postgres:17: not found'
)


@pytest.mark.parametrize(
    ("seen", "words", "advice"),
    [
        (pod("ImagePullBackOff", "Back-off pulling image: not found"), "postgres:17 cannot be pulled", "--registry"),
        (pod("ErrImagePull", PULL), "postgres:17 cannot be pulled: .*not found", "--image"),
        (pod("ErrImagePull", "denied: access forbidden"), "denied", "pull_secrets"),
        (pod("CreateContainerConfigError", 'secret "x" not found'), 'secret "x" not found', "describe"),
    ],
)
def test_a_container_that_cannot_start(seen: dict[str, Any], words: str, advice: str) -> None:
    found = failure_of(seen)
    assert found is not None
    assert not found.patience
    import re

    assert re.search(words, found.what)
    assert advice in found.advice


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_registry_or_a_kubelet_may_hiccup(reason: str) -> None:
    found = failure_of(pod(reason, "connection reset by peer"))
    assert found is not None
    assert found.patience > 0


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", ""])
def test_what_is_only_slow_is_none(reason: str) -> None:
    assert failure_of(pod(reason)) is None


def test_its_own_crash_is_told_by_its_own_log() -> None:
    assert failure_of(pod("CrashLoopBackOff", "back-off 10s restarting")) is None


def test_an_init_container_that_ends_again_and_again() -> None:
    seen = pod(initContainerStatuses=[{"name": "envctl-init", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}])
    found = failure_of(seen)
    assert found is not None
    assert "envctl-init" in found.what


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("0/1 nodes are available: 1 Insufficient cpu.", "ask for less"),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.", "tolerations"),
    ],
)
def test_no_node_takes_it(message: str, advice: str) -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    found = failure_of(pod(conditions=conditions))
    assert found is not None
    assert message.split(":")[0] in found.what
    assert advice in found.advice
    assert found.patience > 0


def test_a_scheduler_that_has_not_looked_yet_is_no_trouble() -> None:
    assert failure_of(pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}])) is None


QUOTA = 'pods "db-0" is forbidden: exceeded quota: team, requested: requests.cpu=2, used: requests.cpu=3, limited: requests.cpu=4'
QUOTAS = (
    'pods "a" is forbidden: exceeded quota: team, requested: limits.cpu=1,limits.memory=1Gi, '
    "used: limits.cpu=2,limits.memory=2Gi, limited: limits.cpu=2,limits.memory=2Gi"
)
SECURITY = (
    'pods "a-1" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "a" must set it)'
)
WEBHOOK = 'admission webhook "policy.example" denied the request: team label is missing'


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (QUOTA, ["quota team", "requests.cpu=2", "requests.cpu=3", "requests.cpu=4"]),
        (QUOTAS, ["quota team", "limits.cpu=1,limits.memory=1Gi", "limits.cpu=2,limits.memory=2Gi"]),
        (
            'pods "a" is forbidden: failed quota: team: must specify limits.cpu for: a; limits.memory for: a',
            ["quota team", "limits.cpu for: a"],
        ),
        (
            'pods "a" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
            ["LimitRange", "maximum cpu usage per Container is 1"],
        ),
        (
            'pods "a" is forbidden: [minimum memory usage per Pod is 9, but request is 2, maximum cpu usage per Pod is 1, but limit is 2]',
            ["LimitRange", "minimum memory usage per Pod is 9", "limit is 2"],
        ),
        (
            'pods "a" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 80.000000',
            ["LimitRange", "ratio"],
        ),
        (SECURITY, ["Pod Security", "restricted:latest", "allowPrivilegeEscalation"]),
        (WEBHOOK, ["policy.example", "team label is missing"]),
        ('pods "a" is forbidden: error looking up service account x', ["error looking up"]),
    ],
)
def test_an_admission_that_refuses(message: str, words: list[str]) -> None:
    found = refusal_of({"reason": "FailedCreate", "message": f"Error creating: {message}"})
    assert found is not None
    assert found.step == "admission"
    assert all(word in found.what for word in words), found.what
    assert not found.what.endswith("]")
    assert found.advice


def test_other_events_and_messages_are_no_refusal() -> None:
    assert refusal_of({"reason": "BackOff", "message": QUOTA}) is None
    assert refusal("something else") is None


def test_an_autoscaler_promises_a_node() -> None:
    assert scaling_up([{"reason": "TriggeredScaleUp"}])
    assert not scaling_up([{"reason": "NotTriggerScaleUp"}])
