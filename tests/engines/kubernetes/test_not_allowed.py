"""Commands report an error when they may not look at the cluster, instead of reporting that nothing exists."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.cli.others import tell_others
from envctl.engines.kubernetes.api import Api, ApiError
from envctl.engines.kubernetes.engine import KubernetesEngine
from envctl.engines.kubernetes.records import FORWARDS, KEY, find_published
from envctl.engines.kubernetes.removal import remove_namespace, remove_objects
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.inspect.list import everything
from envctl.instance.record import Location
from envctl.keeper.cluster.presence import record_name
from envctl.lifecycle import gc
from envctl.session import Session
from tests.builders import session_in
from tests.engines.kubernetes.played import Played, api_of, kubeconfig
from tests.lifecycle.listed import PAST, ListedEngine, seen_as

ID = "t-123456"
FORBIDDEN = (403, {"message": "pods is forbidden: User x cannot list", "reason": "Forbidden"})
LABELS = {"envctl.instance": ID, "envctl.name": "t"}
NAMESPACE = {"metadata": {"name": ID, "uid": "u", "labels": LABELS, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"}}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_in(tmp_path / "state", tmp_path)


@pytest.fixture
def api(played: Played, tmp_path: Path) -> Api:
    (tmp_path / "config").write_text(kubeconfig(played.url))
    return api_of(played, {"KUBECONFIG": str(tmp_path / "config")})


@pytest.fixture
def engine(api: Api, session: Session) -> KubernetesEngine:
    return KubernetesEngine(api, session.host)


def test_pods_that_may_not_be_listed_are_not_gone(played: Played, engine: KubernetesEngine) -> None:
    played.answers["GET /api/v1/namespaces"] = {"items": [NAMESPACE]}
    played.answers[f"GET /api/v1/namespaces/{ID}/pods"] = FORBIDDEN
    [found] = engine.list()
    assert ID in found.unseen
    assert "cannot list" in found.unseen
    with pytest.raises(ApiError, match=f"{ID}: cannot look at its pods: pods is forbidden"):
        engine.attach(ID).states()


@pytest.mark.parametrize("path", ["GET /api/v1/namespaces", "GET /api/v1/namespaces/shared/secrets"])
def test_a_name_that_may_not_be_looked_up(played: Played, api: Api, path: str) -> None:
    played.answers[path] = FORBIDDEN
    with pytest.raises(EnvctlError, match="cannot list"):
        find_published(api, "shared" if "shared" in path else None, "t", "/p")


def test_several_of_a_name_are_named(played: Played, api: Api) -> None:
    ids = ["t-aaaaaa", "t-bbbbbb"]
    played.answers["GET /api/v1/namespaces"] = {"items": [{"metadata": {"name": id}} for id in ids]}
    for id in ids:
        content = base64.b64encode(json.dumps({"id": id, "project": "/p", FORWARDS: []}).encode()).decode()
        meta = {"name": record_name(id), "labels": {"envctl.instance": id}}
        played.answers[f"GET /api/v1/namespaces/{id}/secrets"] = {"items": [{"metadata": meta, "data": {KEY: content}}]}
    with pytest.raises(UsageError, match="several instances are called 't' on played: t-aaaaaa, t-bbbbbb"):
        find_published(api, None, "t", "/p")
    assert find_published(api, None, "t", "/elsewhere") is None


def test_credentials_that_are_refused(played: Played, engine: KubernetesEngine) -> None:
    played.answers["GET /api/v1/namespaces"] = (401, {"message": "Unauthorized"})
    with pytest.raises(EngineMissing, match="does not accept these credentials: Unauthorized") as caught:
        engine.list()
    assert "log in again" in caught.value.hint


def test_a_cluster_that_is_asked_for_and_not_there_is_told(session: Session, tmp_path: Path) -> None:
    told = {"engine": "kubernetes", "context": "none"}
    looking = replace(session, told=told, environ={**session.environ, "KUBECONFIG": str(tmp_path / "none")})
    unseen: list[str] = []
    everything(looking, False, unseen.append)
    assert any("kubeconfig" in why for why in unseen), unseen


def configured(session: Session, played: Played, tmp_path: Path) -> Session:
    (tmp_path / "config").write_text(kubeconfig(played.url))
    return replace(session, environ={**session.environ, "ENVCTL_ENGINE": "kubernetes", "KUBECONFIG": str(tmp_path / "config")})


def test_all_of_a_checkout_is_no_fine_where_nobody_could_look(
    played: Played, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played.answers["GET /api/v1/namespaces"] = FORBIDDEN
    assert tell_others(configured(session, played, tmp_path)) is False
    assert "cannot list; envctl cannot tell which instances are up there" in capsys.readouterr().err


def test_what_another_machine_has_brought_up_from_here_is_named(
    played: Played, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = {"envctl.project": str(tmp_path)}
    played.answers["GET /api/v1/namespaces"] = {"items": [{"metadata": {**NAMESPACE["metadata"], "annotations": notes}}]}
    played.answers[f"GET /api/v1/namespaces/{ID}/pods"] = {"items": []}
    assert tell_others(configured(session, played, tmp_path)) is True
    assert f"t ({ID}) was brought up by another machine" in capsys.readouterr().err


def test_what_is_kept_by_a_finalizer_is_still_listed(played: Played, engine: KubernetesEngine, session: Session) -> None:
    ending = {"metadata": {**NAMESPACE["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    played.answers["GET /api/v1/namespaces"] = {"items": [ending]}
    played.answers[f"GET /api/v1/namespaces/{ID}"] = ending
    played.answers[f"GET /api/v1/namespaces/{ID}/pods"] = {"items": []}
    assert [(each.id, each.ending) for each in (*engine.list(), *engine.list(ID))] == [(ID, True)] * 2
    listed = ListedEngine([seen_as("a-123456", name="a", expires=PAST, ending=True)])
    assert list(gc.collect(session, {Location("listed"): listed}, pytest.fail)) == [], "its removal is asked for already"


def test_what_may_not_be_removed_does_not_keep_the_others(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise EnvctlError("namespaces is forbidden")

    monkeypatch.setattr(gc, "remove_by_label", refuse)
    engine = ListedEngine([seen_as("a-123456", name="a", expires=PAST), seen_as("b-123456", name="b", expires=PAST)])
    removed = list(gc.collect(session, {Location("local"): engine}, lambda why: None))
    assert [(each.id, each.left) for each in removed] == [
        ("a-123456", ("namespaces is forbidden",)), ("b-123456", ("namespaces is forbidden",)),
    ]  # fmt: skip


def test_a_stuck_finalizer_is_told_at_once(played: Played, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    told = "has finalizers remaining: example.com/slow in 1 resource instances, kubernetes.io/pvc in 2 resource instances"
    conditions = [
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": told},
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": "metrics.k8s.io/v1 does not answer"},
        {"type": "NamespaceDeletionContentFailure", "status": "True", "message": "unexpected items still remain: pods"},
        {"type": "NamespaceContentRemaining", "status": "True", "message": "pods has 1 resource instances"},
    ]
    stuck = NAMESPACE | {"status": {"conditions": conditions}}
    answers = [NAMESPACE, stuck, stuck]
    played.answers[f"GET /api/v1/namespaces/{ID}"] = lambda _: answers.pop(0) if answers else (404, {})
    played.answers[f"DELETE /api/v1/namespaces/{ID}"] = {}
    assert remove_namespace(api, ID, ID) == []
    said = capsys.readouterr().err
    assert said.count("example.com/slow") == 1
    assert "metrics.k8s.io/v1 does not answer" in said
    assert "pvc" not in said
    assert "still remain" not in said
    assert "Ctrl-C" in said


def test_a_namespace_made_anew_meanwhile_is_anothers(played: Played, api: Api) -> None:
    answers = [NAMESPACE, {"metadata": {**NAMESPACE["metadata"], "uid": "other"}}]
    played.answers[f"GET /api/v1/namespaces/{ID}"] = lambda _: answers.pop(0)
    played.answers[f"DELETE /api/v1/namespaces/{ID}"] = {}
    assert remove_namespace(api, ID, ID) == []
    assert next(body for what, body in played.asked if what.startswith("DELETE"))["preconditions"] == {"uid": "u"}  # type: ignore[index]


def test_in_a_namespace_of_others_too(played: Played, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    path = "/api/v1/namespaces/shared/services"
    meta = {"name": "t-db", "uid": "u", "deletionTimestamp": "x", "finalizers": ["example.com/balancer"]}
    answers = [{"items": [{"metadata": meta}]}] * 2
    played.answers["GET /api/v1/namespaces/shared/secrets"] = {"items": []}
    played.answers[f"GET {path}"] = lambda _: answers.pop(0) if answers else {"items": []}
    assert remove_objects(api, "shared", ID) == []
    assert "the finalizer example.com/balancer of service t-db" in capsys.readouterr().err
