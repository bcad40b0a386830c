"""Requests to an API server: their paths, their users, and how long envctl retries while the server is unreachable."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from envctl.engines import MadeElsewhere
from envctl.engines.kubernetes import api as api_module
from envctl.engines.kubernetes.api import Api, ApiError, connect
from envctl.engines.kubernetes.contexts import find_context
from envctl.engines.kubernetes.credentials import credentials
from envctl.engines.kubernetes.instance import KubernetesInstance
from envctl.engines.kubernetes.records import KEY, added_kinds, find_published, note_added, publish, refuse_others, renew
from envctl.engines.kubernetes.removal import remove_objects
from envctl.engines.kubernetes.work_lock import begun, done
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.instance.labels import WORKER, WORKING
from envctl.keeper.cluster.presence import record_name
from tests.builders import session_in
from tests.engines.kubernetes.played import Played, kubeconfig
from tests.keeper.cluster.servers import socks_proxy

ID = "t-123456"
POLICIES = {"resources": [
    {"name": "policies", "kind": "Policy", "namespaced": True}, {"name": "policies/status", "kind": "Policy", "namespaced": True},
    {"name": "policyclasses", "kind": "PolicyClass", "namespaced": False},
]}  # fmt: skip
AS = {"as": "ann", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"Acme.com/Team": ["x", "y"]}}
HEADERS = [
    ("Impersonate-User", "ann"), ("Impersonate-Uid", "7"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"),
    ("Impersonate-Extra-acme.com%2Fteam", "x"), ("Impersonate-Extra-acme.com%2Fteam", "y"),
]  # fmt: skip


GIVEN = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "secret"}}
PLUGIN = {
    "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": sys.executable,
    "args": ["-c", f"print({json.dumps(json.dumps(GIVEN))})"],
}  # fmt: skip


def api_of(played: Played, tmp_path: Path, user: dict[str, Any] | None = None) -> Api:
    (tmp_path / "config").write_text(kubeconfig(played.url, user))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    return connect(find_context("played", environ), environ)


@pytest.fixture
def api(played: Played, tmp_path: Path) -> Api:
    return api_of(played, tmp_path)


def test_the_cluster_says_how_a_kind_is_called(played: Played, api: Api) -> None:
    played.answers["GET /apis/example.com/v1"] = POLICIES
    for _ in range(2):
        assert api.path("example.com/v1", "Policy", "ns", "a") == "/apis/example.com/v1/namespaces/ns/policies/a"
    assert api.path("apps/v1", "Deployment", "ns") == "/apis/apps/v1/namespaces/ns/deployments"
    assert [what for what, _ in played.asked].count("GET /apis/example.com/v1") == 1


@pytest.mark.parametrize(
    ("kind", "words"), [("PolicyClass", "belongs to the whole cluster"), ("Polic", "has no Polic of example.com/v1"), ("X", "has no X")]
)
def test_a_kind_that_no_instance_can_have(played: Played, api: Api, kind: str, words: str) -> None:
    played.answers["GET /apis/example.com/v1"] = POLICIES
    with pytest.raises(UsageError, match=words):
        api.path("example.com/v1" if kind != "X" else "none.example/v1", kind, "ns")


def test_an_impersonated_user(played: Played, tmp_path: Path) -> None:
    api = api_of(played, tmp_path, {"token": "t", **AS})
    told = [pair for pair in played.headers[-1] if pair[0].startswith("Impersonate")]
    assert told == HEADERS
    assert credentials(api.context)["impersonate"] == AS


def test_a_server_that_is_away_for_a_while(played: Played, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", pauses.append)
    answers: Iterator[tuple[int, dict[str, Any]]] = iter([(503, {})] * 9)
    played.answers["GET /api/v1/namespaces"] = lambda _: next(answers, (200, {"items": []}))
    assert api.list("v1", "Namespace") == []
    assert 10 < sum(pauses) < 20


def test_one_that_was_never_there_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "config").write_text(kubeconfig(f"http://127.0.0.1:{port}"))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    with pytest.raises(EngineMissing, match=f"does not answer at http://127.0.0.1:{port}"):
        connect(find_context("played", environ), environ)


class Store:
    """The Secret that holds an instance's record, as the API server stores it."""

    def __init__(self, played: Played) -> None:
        self.secret: dict[str, Any] = {}
        path = f"/api/v1/namespaces/{ID}/secrets"
        played.answers[f"PATCH {path}/{record_name(ID)}"] = self.patch
        played.answers[f"GET {path}/{record_name(ID)}"] = lambda _: self.secret or (404, {"message": "not found"})
        played.answers[f"GET {path}"] = lambda _: {"items": [self.secret] if self.secret else []}

    def empty(self) -> dict[str, Any]:
        self.secret = {}
        return {}

    def patch(self, body: Any) -> Any:
        for key, value in body.items():
            if key == "metadata":
                annotations = {**(self.secret.get(key) or {}).get("annotations", {}), **value.get("annotations", {})}
                self.secret[key] = {"uid": "u", **self.secret.get(key, {}), **value, "annotations": annotations}
            else:
                self.secret[key] = value
        return self.secret


DOCUMENT = {
    "id": ID, "name": "t", "project": "/p", "owner": "", "environment": "t", "created": "2026-01-01T00:00:00Z", "expires": None,
    "version": 1,
}  # fmt: skip


def test_more_time_reaches_the_record(played: Played, api: Api, tmp_path: Path) -> None:
    store = Store(played)
    played.answers[f"PATCH /api/v1/namespaces/{ID}"] = {}
    publish(api, ID, DOCUMENT, [{"name": "db/postgres"}])
    KubernetesInstance(api, session_in(tmp_path / "state", tmp_path).host, ID, ID).renew("2999-01-01T00:00:00Z", {})
    found = find_published(api, None, ID, "/p")
    assert found is not None
    assert found.document == DOCUMENT | {"expires": "2999-01-01T00:00:00Z"}
    assert found.access == [{"name": "db/postgres"}]
    assert store.secret["metadata"]["annotations"]["envctl.expires"] == "2999-01-01T00:00:00Z"
    assert KEY in store.secret["data"]


def test_more_time_is_given_again_where_somebody_has_changed_the_record_meanwhile(played: Played, api: Api) -> None:
    store, refused = Store(played), [409, 409]
    publish(api, ID, DOCUMENT, [])
    path = f"PATCH /api/v1/namespaces/{ID}/secrets/{record_name(ID)}"
    played.answers[path] = lambda body: (refused.pop(), {"message": "changed", "reason": "Conflict"}) if refused else store.patch(body)
    renew(api, ID, ID, "2999-01-01T00:00:00Z")
    assert store.secret["metadata"]["annotations"]["envctl.expires"] == "2999-01-01T00:00:00Z"
    refused += [409] * 9
    with pytest.raises(EnvctlError, match="other commands keep changing its record"):
        renew(api, ID, ID, None)
    refused[:] = [403]
    with pytest.raises(ApiError):
        renew(api, ID, ID, None)


def test_of_two_machines_that_make_it_the_first_one_does(played: Played, api: Api) -> None:
    store = Store(played)
    ours, theirs = ({**DOCUMENT, "secret": word} for word in ("ours", "theirs"))

    def post(body: Any) -> Any:
        return (409, {"message": "already exists", "reason": "AlreadyExists"}) if store.secret else store.patch(body)

    played.answers[f"POST /api/v1/namespaces/{ID}/secrets"] = post
    refuse_others(api, ID, ours)
    publish(api, ID, ours, [], begun("me"), new=True)
    assert store.secret["metadata"]["annotations"][WORKER] == "me"
    publish(api, ID, ours, [], new=True)  # a retry by the same `up`
    for refused in (lambda: publish(api, ID, theirs, [], new=True), lambda: refuse_others(api, ID, theirs)):
        with pytest.raises(MadeElsewhere, match=f"another machine is bringing {ID} up"):
            refused()
    found = find_published(api, None, ID, "/p")
    assert found is not None
    assert found.document["secret"] == "ours"
    publish(api, ID, ours, [], done("me"))
    assert store.secret["metadata"]["annotations"][WORKING] == "done"


def test_in_a_namespace_that_is_not_there_nobody_has_published_anything(played: Played, api: Api) -> None:
    """An account without rights there gets the API's error; envctl does not claim that the namespace is missing."""
    played.answers[f"GET /api/v1/namespaces/{ID}/secrets"] = (403, {"message": "secrets is forbidden", "reason": "Forbidden"})
    assert find_published(api, None, ID, "") is None
    played.answers[f"GET /api/v1/namespaces/{ID}"] = {"metadata": {"name": ID}}
    with pytest.raises(ApiError):
        find_published(api, None, ID, "")
    played.answers[f"GET /api/v1/namespaces/{ID}"] = (403, {"message": "namespaces is forbidden", "reason": "Forbidden"})
    with pytest.raises(ApiError):
        find_published(api, None, ID, "")


def test_kinds_that_a_definition_adds_go_with_the_instance(played: Played, api: Api) -> None:
    store = Store(played)
    shared = f"/apis/example.com/v1/namespaces/{ID}/policies"
    played.answers["GET /apis/example.com/v1"] = POLICIES
    there = {"metadata": {"name": "t-web", "uid": "i"}}
    played.answers[f"GET {shared}"] = lambda _: {"items": [there] if f"DELETE {shared}/t-web" not in dict(played.asked) else []}
    played.answers[f"DELETE {shared}/t-web"] = {}
    played.answers[f"DELETE /api/v1/namespaces/{ID}/secrets/{record_name(ID)}"] = lambda _: store.empty()
    publish(api, ID, DOCUMENT, [])
    note_added(api, ID, ID, [("example.com/v1", "Policy"), ("gone.example/v1", "Thing")])
    publish(api, ID, DOCUMENT, [])
    assert added_kinds([store.secret]) == [("example.com/v1", "Policy"), ("gone.example/v1", "Thing")]
    assert remove_objects(api, ID, ID) == []
    gone = [what for what, _ in played.asked if what.startswith("DELETE")]
    assert gone == [f"DELETE {shared}/t-web", f"DELETE /api/v1/namespaces/{ID}/secrets/{record_name(ID)}"]


def test_a_plugin_that_is_not_there_is_said_once(played: Played, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gone = {"exec": {**PLUGIN, "command": str(tmp_path / "no-plugin")}}
    with pytest.raises(EngineMissing, match=r"the context played cannot be used: its plugin returned no credentials: .*no-plugin"):
        api_of(played, tmp_path, gone)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("user", "by_sdk"), [({"token": "secret"}, False), ({"exec": PLUGIN}, True)])
def test_a_token_reaches_the_server_and_needs_no_sdk(played: Played, tmp_path: Path, user: dict[str, Any], by_sdk: bool) -> None:
    (tmp_path / "config").write_text(kubeconfig(played.url, user))
    program = (
        "import os, sys\nfrom envctl.engines.kubernetes.api import connect\nfrom envctl.engines.kubernetes.contexts import find_context\n"
        "connect(find_context('played', os.environ), os.environ)\nprint('kubernetes' in sys.modules)\n"
    )
    environ = os.environ | {"KUBECONFIG": str(tmp_path / "config")}
    said = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == (f"{by_sdk}\n", "")
    assert ("authorization", "Bearer secret") in [(name.lower(), value) for name, value in played.headers[-1]]


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(kubeconfig("https://127.0.0.1:1", {"client-certificate-data": "eA==", "client-key-data": "eA=="}))
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    with pytest.raises(EngineMissing, match="the context played cannot be used: "):
        connect(find_context("played", environ), environ)


@pytest.mark.parametrize("user", [{"token": "t0ken"}, {"exec": PLUGIN}])
def test_a_socks_proxy_on_the_way(played: Played, tmp_path: Path, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The token needs no Kubernetes SDK; the plugin does."""
    played.answers["GET /version"] = {}
    with socks_proxy() as proxy:
        told = json.loads(kubeconfig(played.url, user))
        told["clusters"][0]["cluster"]["proxy-url"] = f"socks5://127.0.0.1:{proxy.port}"
        (tmp_path / "config").write_text(json.dumps(told))
        environ = {"KUBECONFIG": str(tmp_path / "config")}
        monkeypatch.setattr(api_module, "_retrying", lambda times=0: urllib3.Retry(0))
        assert connect(find_context("played", environ), environ).request("GET", "/version") == {}
        assert [host for host, _ in proxy.asked] == ["127.0.0.1"]
        proxy.close()
        with pytest.raises(EngineMissing, match=r"through its proxy: .*Connection refused"):
            connect(find_context("played", environ), environ)
