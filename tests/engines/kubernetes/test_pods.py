"""A pod's status, converted to the engine protocol's terms."""

from __future__ import annotations

from envctl.engines.kubernetes.pods import owner_of, service_of, state_of
from tests.keeper.cluster.test_pod_status import pod


def test_whose_it_is() -> None:
    assert (service_of(pod()), owner_of(pod())) == ("db", "db")
    job = pod(labels={"batch.kubernetes.io/job-name": "migrate"})
    assert (service_of(job), owner_of(job)) == ("", "job:migrate")
    assert owner_of(pod(labels=None)) == ""


def test_one_that_runs() -> None:
    seen = state_of(pod(state={"running": {}}, last={"terminated": {"exitCode": 3}}))
    assert (seen.running, seen.status, seen.id) == (True, None, "u-p")


def test_one_that_has_ended() -> None:
    seen = state_of(pod(state={"terminated": {"exitCode": 7}}))
    assert (seen.running, seen.status) == (False, 7)


def test_readiness_is_its_health() -> None:
    ready = pod(state={"running": {}})
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert state_of(ready).health == "healthy"
    assert state_of(pod(state={"running": {}})).health == "starting"


def test_nobody_is_not_running() -> None:
    assert not state_of(None).running
