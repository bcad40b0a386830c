"""Requests for a new namespace, and the objects that envctl creates in the namespace."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envctl.engines import MadeElsewhere
from envctl.engines.kubernetes import own_namespace, removal
from envctl.engines.kubernetes.api import connect
from envctl.engines.kubernetes.contexts import find_context
from envctl.engines.kubernetes.deployment import KubernetesDeployment
from envctl.engines.kubernetes.objects import InstanceObjects
from envctl.engines.protocol import DeploymentSettings
from envctl.engines.registry import traits
from envctl.errors import EnvctlError
from envctl.instance.labels import ALIVE, INSTANCE
from envctl.instance.record import now
from envctl.keeper.cluster.presence import record_name
from tests.builders import plan_with, service, session_in
from tests.engines.kubernetes.played import Played, kubeconfig

ID = "t-123456"
SECRET = {"metadata": {"name": "login", "uid": "u"}, "type": "kubernetes.io/dockerconfigjson", "data": {"a": "Yg=="}}


@pytest.fixture
def played(played: Played) -> Played:
    played.answers[f"PATCH /api/v1/namespaces/{ID}/secrets/login"] = {"metadata": {}}
    return played


def deployment(played: Played, tmp_path: Path, **cluster: Any) -> KubernetesDeployment:
    (tmp_path / "config").write_text(kubeconfig(played.url))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    api, host = connect(find_context("played", environ), environ), session_in(tmp_path / "state", tmp_path).host
    base = plan_with(service("a", user=7, host="a"))
    plan = replace(base, setting=replace(base.setting, engine=traits("kubernetes")))
    return KubernetesDeployment(api, host, ID, ID, plan=plan, settings=DeploymentSettings(tmp_path, cluster=cluster))


def copied(played: Played) -> list[Any]:
    return [body for what, body in played.asked if what.startswith("PATCH")]


@pytest.mark.parametrize(("source", "place"), [("team", "team"), ("", "default")])
def test_pull_secrets_are_copied(played: Played, tmp_path: Path, source: str, place: str) -> None:
    played.answers[f"GET /api/v1/namespaces/{place}/secrets/login"] = SECRET
    made = deployment(played, tmp_path, pull_secrets=["login"], **({"pull_secrets_from": source} if source else {}))
    made._take_in({"metadata": {}})
    [copy] = copied(played)
    assert (copy["type"], copy["data"], copy["metadata"]["namespace"]) == (SECRET["type"], SECRET["data"], ID)
    assert "envctl.instance" not in copy["metadata"]["labels"], "a later `up` would take it for a stray"


def test_one_that_is_named_must_be_there(played: Played, tmp_path: Path) -> None:
    made = deployment(played, tmp_path, pull_secrets=["login"], pull_secrets_from="team")
    with pytest.raises(EnvctlError, match="there is no pull secret login in the namespace team"):
        made._take_in({"metadata": {}})
    played.answers["GET /api/v1/namespaces/team/secrets/login"] = (403, {"message": "secrets is forbidden"})
    with pytest.raises(EnvctlError, match="the pull secret login of team cannot be read: secrets is forbidden"):
        made._take_in({"metadata": {}})


def test_elsewhere_it_may_be_missing(played: Played, tmp_path: Path) -> None:
    made = deployment(played, tmp_path, pull_secrets=["login"])
    made._take_in({"metadata": {}})
    played.answers["GET /api/v1/namespaces/default/secrets/login"] = (403, {"message": "secrets is forbidden"})
    made._take_in({"metadata": {}})
    assert copied(played) == []


@pytest.mark.parametrize(("annotations", "user"), [({}, 7), ({"openshift.io/sa.scc.uid-range": "1000660000/10000"}, None)])
def test_a_range_of_users_is_left_to_the_cluster(played: Played, tmp_path: Path, annotations: dict[str, str], user: int | None) -> None:
    made = deployment(played, tmp_path)
    assert made.manifests.services["a"].workload
    made._take_in({"metadata": {"annotations": annotations}})
    [workload] = made.manifests.services["a"].workload
    assert workload["spec"]["template"]["spec"]["securityContext"].get("runAsUser") == user


def created(played: Played, made: KubernetesDeployment, monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> dict[str, Any]:
    """Create the deployment; return the annotations of its first PATCH, of the namespace or of the record in another namespace."""
    monkeypatch.setattr(KubernetesDeployment, "_take_in", lambda *_: None)
    monkeypatch.setattr(KubernetesDeployment, "_set_forwards", lambda *_: None)
    monkeypatch.setattr(InstanceObjects, "apply", lambda self, item: self.api.apply(item) if item["kind"] == "Namespace" else item)
    monkeypatch.setattr(KubernetesDeployment, "_publish", lambda *_, **__: None)
    monkeypatch.setattr(InstanceObjects, "remove_strays", lambda *_: None)
    monkeypatch.setattr(InstanceObjects, "_check_free", lambda *_: None)
    for path in (ID, f"{ID}/secrets/{record_name(ID)}"):
        played.answers[f"PATCH /api/v1/namespaces/{path}"] = {"metadata": {}}
    made.create(whole=whole)
    patched = [body for what, body in played.asked if what.startswith("PATCH") and body]
    return dict(patched[0]["metadata"]["annotations"]) if patched else {}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("owner", "whole", "heard"), [("m.b.p:1:2", True, True), ("", True, False), ("m.b.p:1:2", False, False)])
def test_its_owner_is_heard_of_from_the_first_moment(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, owner: str, whole: bool, heard: bool
) -> None:
    made = deployment(played, tmp_path)
    made.shared = shared
    made._planned = made.plan = replace(made.plan, setting=replace(made.plan.setting, owner=owner, shared=shared))
    told = created(played, made, monkeypatch, whole=whole)
    assert (told.get(ALIVE, "") > now()) == heard


CANNOT = 'serviceaccounts "envctl" is forbidden: User "system:serviceaccount:envctl-system:ci" cannot patch resource "serviceaccounts"'
EARLY = 'pods "a" is forbidden: error looking up service account t-123456/default: serviceaccount "default" not found'


def test_a_service_account_without_the_right_is_refused_at_once(played: Played, tmp_path: Path) -> None:
    """The account's name contains "serviceaccount", as does the API's message about a namespace that is too new."""
    made, path = deployment(played, tmp_path), f"PATCH /api/v1/namespaces/{ID}/serviceaccounts/envctl"
    item = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "envctl", "namespace": ID}}
    played.answers[path] = (403, {"message": CANNOT, "reason": "Forbidden"})
    with pytest.raises(EnvctlError, match="ServiceAccount envctl: no right to create it: "):
        made._objects.apply(item)
    assert len(copied(played)) == 1
    answers = iter([(403, {"message": EARLY, "reason": "Forbidden"}), (200, {"metadata": {"uid": "u"}})])
    played.answers[path] = lambda _: next(answers)
    assert made._objects.apply(item) == {"metadata": {"uid": "u"}}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"metadata": {}}, None),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "the namespace t-123456 is being removed"),
        ((404, {"message": "not found"}), "the namespace t-123456 was removed"),
        ((403, {"message": "no"}), None),
    ],
)
def test_a_namespace_that_goes_while_services_are_waited_for(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, why: str | None
) -> None:
    """A reaper or another user has removed the namespace: no pod will appear, so `barred` must report it."""
    made, path = deployment(played, tmp_path), f"GET /api/v1/namespaces/{ID}"
    played.answers[path] = answer
    pods: list[dict[str, Any]] = [{"metadata": {}}]
    made._watched = SimpleNamespace(of=lambda _: pods[0] if pods else None)  # type: ignore[assignment]
    first = service("a")
    assert made.barred(first) is None
    pods.clear()
    assert made.barred(first) is None, "a new pod may come"
    assert path.removeprefix("GET ") not in [what.removeprefix("GET ") for what, _ in played.asked]
    monkeypatch.setattr(own_namespace, "PODLESS", 0)
    found = made.barred(first)
    assert (found.message if found is not None else None) == why


def test_a_namespace_that_is_being_removed_is_waited_for(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the reaper removed a namespace, a push or a reopened pull request may need it again at once; `up` used to fail then."""
    made, path = deployment(played, tmp_path), f"GET /api/v1/namespaces/{ID}"
    meta = {"uid": "u", "resourceVersion": "7", "labels": {INSTANCE: ID}}
    assert not made._own.exists()
    played.answers[path] = {"metadata": meta}
    assert made._own.exists()
    ending = {"metadata": {**meta, "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    answers = iter([ending, ending, (404, {"message": "not found"})])
    played.answers[path] = lambda _: next(answers)
    monkeypatch.setattr(removal, "PAUSE", 0)
    assert not made._own.exists()
    played.answers[path] = ending
    monkeypatch.setattr(removal, "PATIENCE", 0)
    with pytest.raises(EnvctlError, match="is still being removed"):
        made._own.exists()


class Namespaces:
    """The instance's namespace and its record on a fake API server; the first `hiccups` creations succeed but answer 504."""

    def __init__(self, played: Played) -> None:
        self.namespace: dict[str, Any] | None = None
        self.record: dict[str, Any] | None = None
        self.hiccups = 0
        self.applied = 0
        played.answers["POST /api/v1/namespaces"] = self.post
        played.answers[f"GET /api/v1/namespaces/{ID}"] = lambda _: self.namespace or (404, {"message": "not found"})
        played.answers[f"PATCH /api/v1/namespaces/{ID}"] = self.apply
        played.answers[f"GET /api/v1/namespaces/{ID}/secrets/{record_name(ID)}"] = lambda _: self.record or (404, {"message": "not found"})

    def post(self, body: Any) -> Any:
        if self.namespace is not None:
            return 409, {"message": "already exists", "reason": "AlreadyExists"}
        self.namespace = {**body, "metadata": {**body["metadata"], "uid": "u"}}
        self.hiccups -= 1
        return (504, {"message": "too late"}) if self.hiccups >= 0 else self.namespace

    def apply(self, body: Any) -> Any:
        self.applied += 1
        return self.namespace


def first(played: Played, folder: Path, secret: str) -> KubernetesDeployment:
    made = deployment(played, folder)
    made.settings = replace(made.settings, new=True, worker="store@mark", document={"id": ID, "secret": secret, "project": "/p"})
    return made


def begin(made: KubernetesDeployment, there: bool = False) -> Any:
    return made._own.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ID, "labels": {INSTANCE: ID}}}, there)


def test_of_two_machines_one_makes_the_namespace(played: Played, tmp_path: Path) -> None:
    found = Namespaces(played)
    begin(first(played, tmp_path, "ours"))
    assert found.namespace is not None
    assert "ours" not in str(found.namespace)
    for there in (False, True):
        with pytest.raises(MadeElsewhere):
            begin(first(played, tmp_path, "theirs"), there)
    assert found.applied == 0, "nothing of the other one's is changed"
    begin(first(played, tmp_path, "ours"), there=True)
    assert found.applied == 1, "another try of the same `up`"


def test_an_answer_that_was_lost_is_no_other_machine(played: Played, tmp_path: Path) -> None:
    found = Namespaces(played)
    found.hiccups = 1
    begin(first(played, tmp_path, "ours"))
    assert [what for what, _ in played.asked].count("POST /api/v1/namespaces?fieldManager=envctl") == 2
    assert found.applied == 1


def test_what_an_earlier_version_has_made_is_known_by_its_record(played: Played, tmp_path: Path) -> None:
    found = Namespaces(played)
    found.namespace = {"metadata": {"name": ID, "uid": "u", "labels": {INSTANCE: ID}}}
    content = base64.b64encode(json.dumps({"id": ID, "secret": "ours", "project": "/p", "forwards": []}).encode()).decode()
    found.record = {"metadata": {"name": record_name(ID), "labels": {INSTANCE: ID}}, "data": {"record.json": content}}
    begin(first(played, tmp_path, "ours"), there=True)
    with pytest.raises(MadeElsewhere):
        begin(first(played, tmp_path, "theirs"), there=True)
