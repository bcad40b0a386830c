"""Tests of reading a pod's status from its JSON."""

from __future__ import annotations

from typing import Any

from envctl.keeper.cluster.pod_status import (
    all_running,
    data_ids,
    exit_status,
    has_data,
    has_ended,
    is_admitted,
    is_ready,
    is_running,
    newest,
    own_container,
    own_status,
    unschedulable,
    waiting,
)

BARE: dict[str, Any] = {"metadata": {"name": "p", "uid": "u", "creationTimestamp": "x"}, "spec": {"containers": [{"name": "db"}]}}


def pod(name: str = "p", state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    status = {"name": "db", "state": state or {}, "lastState": last or {}, "restartCount": 0, "containerID": "c"}
    return {
        "metadata": {
            "name": name,
            "uid": f"u-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"envctl.service": "db"},
            **meta,
        },
        "spec": {"containers": [{"name": "envctl-ears"}, {"name": "db"}]},
        "status": {"containerStatuses": [{"name": "envctl-ears", "state": {"running": {}}, "containerID": "e"}, status]},
    }


def test_the_services_own_container_counts() -> None:
    assert own_container(pod()) == "db"
    assert own_status(pod())["name"] == "db"
    assert not is_running(pod())
    assert is_running(pod(state={"running": {}}))


def test_of_several_containers_the_first_one_is_the_services_whatever_their_names() -> None:
    """The kubelet sorts the statuses of containers by name."""
    found = pod(state={"running": {}})
    found["spec"]["containers"].append({"name": "aaa"})
    found["status"]["containerStatuses"].insert(0, {"name": "aaa", "state": {}, "containerID": "a"})
    assert own_status(found)["name"] == "db"
    assert data_ids(found) == ("u-p", "u-p c")
    assert (is_running(found), all_running(found)) == (True, False)


def test_one_that_has_ended_and_one_that_waits_to_be_started_again() -> None:
    assert exit_status(pod(state={"terminated": {"exitCode": 7}})) == 7
    assert exit_status(pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last={"terminated": {"exitCode": 2}})) == 2
    assert exit_status(pod()) is None


def test_readiness_is_the_pods() -> None:
    ready = pod(state={"running": {}})
    assert not is_ready(ready)
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert is_ready(ready)


def test_the_newest_that_is_not_going_counts() -> None:
    assert newest([]) is None
    old, new = pod("a"), pod("b", creationTimestamp="2026-01-02T00:00:00Z")
    assert newest([new, old]) is new
    new["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:00Z"
    assert newest([new, old]) is old


def test_what_keeps_it_from_running() -> None:
    found = pod(state={"waiting": {"reason": "ErrImagePull", "message": "no"}})
    assert list(waiting(found)) == [("db", "ErrImagePull", "no")]
    found["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}]
    assert unschedulable(found) == "full"


def test_a_pod_without_a_status_yet() -> None:
    assert (is_running(BARE), is_ready(BARE), has_ended(BARE), exit_status(BARE)) == (False, False, False, None)
    assert list(waiting(BARE)) == []
    assert unschedulable(BARE) == ""
    assert data_ids(BARE) == ("u", "u ")


def test_the_own_container_is_the_one_that_the_pod_names() -> None:
    injected = {"name": "linkerd-proxy", "state": {"terminated": {"exitCode": 9}}}
    seen = pod(state={"running": {}}, annotations={"kubectl.kubernetes.io/default-container": "db"})
    seen["spec"]["containers"].insert(0, {"name": "linkerd-proxy"})
    seen["status"]["containerStatuses"].insert(0, injected)
    assert own_container(seen) == "db"
    assert is_running(seen)
    assert exit_status(seen) is None


def test_a_name_like_one_of_ours_is_its_own_where_the_pod_says_so() -> None:
    seen = pod(annotations={"kubectl.kubernetes.io/default-container": "envctl-db"})
    seen["spec"]["containers"].append({"name": "envctl-db"})
    assert own_container(seen) == "envctl-db"
    assert own_container({"metadata": {}, "spec": {"containers": [{"name": "envctl-db"}]}}) == "envctl-db"


def test_a_gate_says_whether_it_has_its_data() -> None:
    seen = pod(state={"running": {}})
    assert has_data(seen), "nobody asks for it"
    seen["spec"]["readinessGates"] = [{"conditionType": "envctl/seeded"}]
    conditions = [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}]
    seen["status"]["conditions"] = conditions
    assert (has_data(seen), is_ready(seen), is_admitted(seen)) == (False, True, False)
    seen["status"]["conditions"] = [conditions[0], {"type": "Ready", "status": "True"}, {"type": "envctl/seeded", "status": "True"}]
    assert (has_data(seen), is_ready(seen), is_admitted(seen)) == (True, True, True)
