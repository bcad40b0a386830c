"""Pods that start with the data of a snapshot that Docker has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envctl.engines.kubernetes.api import ApiError
from envctl.engines.kubernetes.kept import KeptByDocker, restored
from envctl.engines.registry import traits
from envctl.instance.record import SnapshotRecord
from envctl.render.kubernetes import Options, render_kubernetes
from envctl.render.kubernetes_settings import Cluster
from tests.builders import plan_of

KEPT = SnapshotRecord("k", "r:5000/envctl/snapshot@sha256:1", "sha256:2", entrypoint=("entry.sh",), command=("server",))


@pytest.mark.parametrize(("kind", "folder"), [("postgres", "/var/lib/envctl/data"), ("mariadb", "/var/lib/envctl/mysql")])
def test_a_pod_is_filled_from_the_image_and_gets_passwords_of_its_own(tmp_path: Path, kind: str, folder: str) -> None:
    plan = plan_of(tmp_path, f"services:\n  db: {{kind: {kind}}}\n", engine=traits("kubernetes"))
    plan = replace(plan, services={"db": restored(plan.services["db"], KEPT)})
    spec = render_kubernetes(plan, Options(standalone=False, namespace="t")).services["db"].workload[0]["spec"]["template"]["spec"]
    copy, main = spec["initContainers"][-1], spec["containers"][0]
    assert copy["image"] == main["image"] == KEPT.ref
    assert copy["command"][:3] == ["cp", "-r", f"{folder}/."]
    place = {mount["mountPath"]: mount["name"] for mount in main["volumeMounts"]}
    assert place[folder] == copy["volumeMounts"][0]["name"]
    assert main["command"][:2] == ["sh", "-ec"]
    assert f"{folder}/.restored" in main["command"][2]
    assert any(path.startswith("/var/lib/envctl/restore.sql") for path in place)


class Cluster404:
    """A cluster whose context has the given name, with or without OpenShift's API group."""

    def __init__(self, name: str, ranged: bool = False) -> None:
        self.context, self._ranged = SimpleNamespace(name=name), ranged

    def request(self, method: str, path: str) -> dict[str, Any]:
        if self._ranged:
            return {"kind": "APIGroup"}
        raise ApiError(404, "NotFound", "there is none")


@pytest.mark.parametrize(
    ("name", "registry", "environ", "users", "why"),
    [
        ("lab", None, {}, "", "no registry is set for it"),
        ("lab", "r:5000", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "", "there is no Docker here"),
        ("kind-lab", None, {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "", "there is no Docker here"),
    ],
)
def test_why_pods_get_nothing(name: str, registry: str | None, environ: dict[str, str], users: str, why: str) -> None:
    api: Any = Cluster404(name)
    assert why in KeptByDocker(api, registry, Cluster(users=users), environ).unable


@pytest.mark.parametrize(("ranged", "users", "able"), [(False, "", True), (True, "", False), (False, "namespace", False)])
def test_pods_with_users_of_their_namespace_cannot_read_it(monkeypatch: pytest.MonkeyPatch, ranged: bool, users: str, able: bool) -> None:
    monkeypatch.setattr("envctl.engines.docker.connection.connect", lambda context, environ: object())
    api: Any = Cluster404("lab", ranged)
    found = KeptByDocker(api, "r:5000", Cluster(users=users), {}).unable
    assert found == ("" if able else "its pods run as users that the namespace gives them, and cannot read it")
