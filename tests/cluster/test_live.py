"""Tests of `envctl cluster install` on a real cluster: what its accounts may and may not do, and what the reaper removes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envctl.instance import labels
from envctl.instance.record import now
from tests.engines.kubernetes.test_live import as_account, cluster, kubectl, use_all  # noqa: F401
from tests.processes import until
from tests.support import Project

pytestmark = pytest.mark.kubernetes
ENFORCE = "pod-security.kubernetes.io/enforce"
RESTRICTED = {ENFORCE: "restricted"}


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """Yield the name of a namespace for one installation; remove all objects of the installation afterwards."""
    name = f"envctl-sys-{uuid.uuid4().hex[:8]}"
    yield name
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding", "clusterrole", "clusterrolebinding", "namespace"):
        names = [f"{name}-{part}" for part in ("namespaces", "objects", "pods", "services", "provisioner", "instance", "reaper")]
        kubectl("delete", kind, *(names if kind != "namespace" else [name]), "--ignore-not-found", "--wait=false")


@pytest.fixture
def installed(cluster: Project, place: str) -> str:  # noqa: F811
    cluster.envctl("cluster", "install", "--namespace", place).ok()
    kubectl("patch", "cronjob", "reaper", "-n", place, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    return place


def namespace(name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "labels": {labels.INSTANCE: name, **RESTRICTED}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {**meta, **more}}


def in_(place: str, kind: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "attempt", "namespace": place}, **more}


def pod(place: str, container: dict[str, Any], **more: Any) -> dict[str, Any]:
    return in_(place, "Pod", spec={"containers": [{"name": "c", "image": "python:3.13-slim", **container}], **more})


def deployment(place: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "python:3.13-slim"}], **spec}}
    return in_(place, "Deployment", "apps/v1", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template})


def binding(place: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return in_(place, "RoleBinding", "rbac.authorization.k8s.io/v1", roleRef=ref, subjects=[subject])


def test_install_status_and_what_the_accounts_may_not(cluster: Project, place: str) -> None:  # noqa: F811
    printed = cluster.envctl("cluster", "install", "--print", "--namespace", place).ok().out
    assert place in printed
    assert cluster.envctl("cluster", "status", "--namespace", place).status == 1, "nothing is there yet"
    cluster.envctl("cluster", "install", "--namespace", place).ok()
    cluster.envctl("cluster", "install", "--namespace", place).ok()
    cluster.envctl("cluster", "status", "--namespace", place).ok()

    own, foreign = f"own-{uuid.uuid4().hex[:6]}", f"foreign-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", foreign)
    account = f"system:serviceaccount:{place}:provisioner"
    groups = [f"system:serviceaccounts:{place}", "system:serviceaccounts", "system:authenticated"]
    identity = ["--as", account, *(f"--as-group={group}" for group in groups)]
    me = {"kind": "ServiceAccount", "namespace": place, "name": "provisioner"}

    def attempt(*words: str, item: dict[str, Any] | None = None) -> str:
        given = ["apply", "--server-side", "-f", "-"] if item else []
        return kubectl(*identity, *words, *given, stdin=json.dumps(item) if item else None, check=False)

    try:
        # The policies of a new installation take effect after a moment.
        until(lambda: "not an instance" in attempt("label", "namespace", foreign, "a=b", "--overwrite"), what="the policies hold")
        assert "serverside-applied" in attempt(item=namespace(own))
        assert "serverside-applied" in attempt(item=binding(own, f"{place}-instance", me) | {"metadata": {"name": "me", "namespace": own}})
        until(lambda: "serverside-applied" in attempt(item=in_(own, "ConfigMap")), what="the binding holds")
        ours, restricted = "is not an instance", "enforce: restricted"
        attempts = {
            "delete a foreign namespace": (attempt("delete", "namespace", foreign, "--wait=false"), ours),
            "claim a foreign one": (attempt("label", "namespace", foreign, f"{labels.INSTANCE}={foreign}"), ours),
            "a namespace without our label": (attempt(item=namespace("x-123456", labels=RESTRICTED)), "its own name"),
            "another's label": (attempt(item=namespace("x-123456", labels={labels.INSTANCE: own, **RESTRICTED})), "its own name"),
            "take the label away": (attempt("label", "namespace", own, f"{labels.INSTANCE}-"), "its own name"),
            "weaker Pod Security": (attempt("label", "--overwrite", "namespace", own, f"{ENFORCE}=privileged"), restricted),
            "an old Pod Security": (attempt("label", "namespace", own, f"{ENFORCE}-version=v1.0"), restricted),
            "a privileged pod": (attempt(item=pod(own, {"securityContext": {"privileged": True}})), "cannot create"),
            "a privileged Deployment": (
                attempt(item=deployment(own, initContainers=[{"name": "i", "image": "x", "securityContext": {"privileged": True}}])),
                "privileged containers are not allowed",
            ),
            "the node's files": (attempt(item=deployment(own, volumes=[{"name": "v", "hostPath": {"path": "/"}}])), "hostPath volumes"),
            "the node's network": (attempt(item=deployment(own, hostNetwork=True)), "the node's namespaces"),
            "the place of others": (attempt(item=deployment(own, priorityClassName="system-cluster-critical")), "own priority classes"),
            "a node of its choice": (attempt(item=deployment(own, nodeName="control-plane")), "nodeName is not allowed"),
            "a binding elsewhere": (attempt(item=binding(foreign, f"{place}-instance", me)), ours),
            "a binding in kube-system": (attempt(item=binding("kube-system", f"{place}-instance", me)), ours),
            "another's binding": (attempt(item=binding(own, f"{place}-instance", {**me, "name": "reaper"})), "may bind only itself"),
            "a larger role": (attempt(item=binding(own, "cluster-admin", me)), "Forbidden"),
            "a port of every node": (
                attempt(item=in_(own, "Service", spec={"type": "NodePort", "ports": [{"port": 80}]})), "of the type ClusterIP",
            ),
            "an address of others": (
                attempt(item=in_(own, "Service", spec={"externalIPs": ["10.0.0.1"], "ports": [{"port": 80}]})), "of the type ClusterIP",
            ),
            "the reaper's code": (attempt("delete", "configmap", "reaper", "-n", place), "cannot delete"),
        }  # fmt: skip
        assert {what: said for what, (said, wanted) in attempts.items() if wanted.lower() not in said.lower()} == {}
        assert "deleted" in attempt("delete", "namespace", own, "--wait=false")
    finally:
        kubectl("delete", "namespace", own, foreign, "--ignore-not-found", "--wait=false")


def test_the_provisioner_can_do_all_that_envctl_does(cluster: Project, installed: str) -> None:  # noqa: F811
    env = as_account(installed, "provisioner", cluster.folder)
    cluster.write("envctl.toml", f'[kubernetes]\nrole = "{installed}-instance"\n')
    use_all(cluster, env)


def test_the_reaper_deletes_what_has_expired_and_nothing_else(installed: str, tmp_path: Path) -> None:
    digits = uuid.uuid4().hex[:6]
    expired, held, live, orphan = (f"reap-{word}-{digits}" for word in ("expired", "held", "live", "orphan"))
    told = {
        expired: {labels.EXPIRES: now(-60)}, held: {labels.EXPIRES: now(-60), labels.HOLD: "demo"}, live: {labels.EXPIRES: now(3600)},
        orphan: {labels.OWNER: "elsewhere:1:2", labels.ALIVE: now(-1), labels.EXPIRES: now(3600)},
    }  # fmt: skip
    items = [namespace(name, annotations=annotations) for name, annotations in told.items()]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    try:
        kubectl("create", "job", "now", "--from=cronjob/reaper", "-n", installed)
        ended = ("get", "job", "now", "-n", installed, "-o", "jsonpath={.status.conditions[*].type}")
        until(lambda: "Complete" in kubectl(*ended), seconds=120, what="a sweep")
        said = kubectl("logs", "job/now", "-n", installed)
        assert f"{expired}: expired" in said
        assert f"{orphan}: its owner has not reported" in said
        assert held not in said
        assert live not in said
        until(lambda: not kubectl("get", "namespace", expired, orphan, "--ignore-not-found", "-o", "name"), what="their end")
        assert len(kubectl("get", "namespace", held, live, "-o", "name").split()) == 2
    finally:
        kubectl("delete", "namespace", *told, "--ignore-not-found", "--wait=false")
