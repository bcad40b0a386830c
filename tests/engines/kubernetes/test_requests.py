"""Requests that `up` does not send, because other users share the API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.kubernetes import forwards
from envctl.engines.kubernetes.api import connect
from envctl.engines.kubernetes.contexts import find_context
from envctl.engines.kubernetes.deployment import KubernetesDeployment
from envctl.engines.protocol import DeploymentSettings
from envctl.engines.registry import traits
from tests.builders import plan_of, session_in
from tests.engines.kubernetes.played import Played, kubeconfig

ID = "t-123456"
PODS = f"GET /api/v1/namespaces/{ID}/pods"
SERVERS = "services:\n  one: {kind: postgres}\n  two: {kind: postgres}\n"


def pod(name: str, restarts: int = 0, state: str = "running") -> dict[str, Any]:
    meta = {"name": name, "uid": f"u-{name}", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"envctl.service": name}}
    statuses = [{"name": name, "restartCount": restarts, "state": {state: {}}, "containerID": f"c-{name}"}]
    return {"metadata": meta, "spec": {"containers": [{"name": name}]}, "status": {"containerStatuses": statuses}}


@pytest.fixture
def deployment(played: Played, tmp_path: Path) -> KubernetesDeployment:
    (tmp_path / "config").write_text(kubeconfig(played.url))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    api = connect(find_context(None, environ), environ)
    host = session_in(tmp_path).host
    plan = plan_of(tmp_path, SERVERS, engine=traits("kubernetes"))
    played.asked.clear()
    return KubernetesDeployment(api, host, ID, ID, plan=plan, settings=DeploymentSettings(tmp_path))


def asked(played: Played) -> list[str]:
    return [what.partition(f"/namespaces/{ID}/")[2].partition("&")[0] for what, _ in played.asked]


@pytest.mark.parametrize(
    ("found", "containers"),
    [
        (pod("one"), ["false"]),
        (pod("one", restarts=1), ["false", "true"]),
        (pod("one", state="terminated"), ["false", "true"]),
        (pod("one", state="waiting"), ["false", "true"]),
    ],
)
def test_a_container_that_was_the_first_has_none_before_it(
    played: Played, deployment: KubernetesDeployment, found: dict[str, Any], containers: list[str]
) -> None:
    played.answers[PODS] = {"items": [found]}
    assert list(deployment.logs("one")) == []
    assert [what.rpartition("previous=")[2] for what, _ in played.asked[1:]] == containers


def test_whose_log_it_is_the_watch_knows(played: Played, deployment: KubernetesDeployment) -> None:
    watched: Any = SimpleNamespace(known={"u-one": pod("one"), "u-two": pod("two")})
    deployment._watched = watched
    assert list(deployment.logs("one")) == []
    assert asked(played) == ["pods/one/log?container=one"]


def test_all_endpoints_are_approved_of_by_one_look(
    played: Played, deployment: KubernetesDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.answers[PODS] = {"items": [pod("one"), pod("two")]}
    approved: dict[str, str] = {}
    monkeypatch.setattr(forwards, "needs_approval", lambda service: True)
    monkeypatch.setattr(forwards, "forwards_of", lambda plan: [{"name": f"{name}/main"} for name in plan.services])
    monkeypatch.setattr(forwards, "set_forwards", lambda *_, **__: None)
    monkeypatch.setattr(forwards, "approve", lambda *told: approved.update([told[2:]]))
    deployment.finish({"one"})
    assert approved == {"one/main": "u-one", "two/main": "none"}
    assert len(played.asked) == 1


def test_that_pods_are_gone_the_watch_knows(played: Played, deployment: KubernetesDeployment) -> None:
    """The pod of an earlier plan is gone at the second look; the service already has a new pod."""
    known, looks = {"u-old": pod("one") | {"metadata": pod("one")["metadata"] | {"uid": "u-old"}}}, []

    def wait(over: Callable[[], bool]) -> bool:
        while not over():
            looks.append(dict(known))
            known.clear()
            known["u-one"] = pod("one")
        return True

    deployment._watched = cast(Any, SimpleNamespace(known=known, wait=wait))
    deployment._await_gone([*known.values()], deployment.plan.services["one"], 60.0)
    assert len(looks) == 1
    assert played.asked == []


def test_what_an_earlier_plan_has_left_is_removed_whatever_the_cluster_lacks(played: Played, deployment: KubernetesDeployment) -> None:
    """The cluster has no kind HTTPRoute; removal also looks for the kinds that the record lists as added."""
    namespace = f"/api/v1/namespaces/{ID}"
    note = {"envctl.adds.1": "v1 Endpoints"}
    stray = {"metadata": {"name": "gone", "uid": "u", "labels": {}}}
    record = {"metadata": {"name": "r", "uid": "u", "labels": {"envctl.record": "true"}, "annotations": note}}
    played.answers["GET /api/v1"] = {"resources": [{"name": "endpoints", "kind": "Endpoints", "namespaced": True}]}
    for version, kinds in (("/api/v1", ("services", "configmaps")), ("/apis/batch/v1", ("jobs",)), ("/apis/apps/v1", ("deployments",))):
        played.answers |= {f"GET {version}/namespaces/{ID}/{kind}": {"items": []} for kind in kinds}
    played.answers |= {f"GET /apis/networking.k8s.io/v1/namespaces/{ID}/{kind}": {"items": []} for kind in ("networkpolicies", "ingresses")}
    played.answers |= {f"GET {namespace}/secrets": {"items": [record]}, f"GET {namespace}/endpoints": {"items": [stray]}}
    deployment._objects.remove_strays(deployment.manifests)
    assert [what for what, _ in played.asked if what.startswith("DELETE")] == [f"DELETE {namespace}/endpoints/gone"]
