"""A pod's status in the words of the seam."""

from __future__ import annotations

from typing import Any

from envctl.engines.kubernetes.pods import service_of, state_of
from envctl.keeper.cluster.pod_status import exit_status, newest, own_container, unschedulable, waiting


def pod(name: str = "p", state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    status = {"name": "db", "state": state or {}, "lastState": last or {}, "restartCount": 0}
    return {
        "metadata": {
            "name": name,
            "uid": f"u-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"envctl.service": "db"},
            **meta,
        },
        "spec": {"containers": [{"name": "envctl-ears"}, {"name": "db"}]},
        "status": {"containerStatuses": [{"name": "envctl-ears", "state": {"running": {}}}, status]},
    }


def test_the_services_own_container_counts() -> None:
    assert own_container(pod()) == "db"
    assert service_of(pod()) == "db"
    assert not state_of(pod()).running


def test_one_that_runs() -> None:
    seen = state_of(pod(state={"running": {}}, last={"terminated": {"exitCode": 3}}))
    assert (seen.running, seen.status, seen.id) == (True, None, "u-p")


def test_one_that_has_ended_and_one_that_waits_to_be_started_again() -> None:
    assert state_of(pod(state={"terminated": {"exitCode": 7}})).status == 7
    assert exit_status(pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last={"terminated": {"exitCode": 2}})) == 2
    assert exit_status(pod()) is None


def test_readiness_is_its_health() -> None:
    ready = pod(state={"running": {}})
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert state_of(ready).health == "healthy"
    assert state_of(pod(state={"running": {}})).health == "starting"


def test_nobody_is_not_running() -> None:
    assert not state_of(None).running
    assert newest([]) is None


def test_the_newest_that_is_not_going_counts() -> None:
    old, new = pod("a"), pod("b", creationTimestamp="2026-01-02T00:00:00Z")
    assert newest([new, old]) is new
    new["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:00Z"
    assert newest([new, old]) is old


def test_a_pod_without_a_status_yet() -> None:
    bare = {"metadata": {"name": "p", "uid": "u", "creationTimestamp": "x"}, "spec": {"containers": [{"name": "db"}]}}
    assert not state_of(bare).running
    assert list(waiting(bare)) == []
    assert unschedulable(bare) == ""
