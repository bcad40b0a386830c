"""Which cluster is chosen, and whether envctl may change it although no context was named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from envctl.engines.kubernetes.contexts import Context, approved, find_context
from envctl.engines.kubernetes.credentials import credentials
from envctl.engines.kubernetes.kubeconfig import read_kubeconfig
from envctl.engines.kubernetes.proxies import proxy_of
from envctl.errors import EngineMissing, EnvctlError, UsageError


def config(path: Path, current: str | None = "remote", **clusters: str) -> Path:
    """Write a kubeconfig with one context, one cluster and one user for each name; return its path."""
    names = {"remote": "https://10.1.2.3:6443", **clusters}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": "ca.pem"}} for name, server in names.items()],
        "users": [{"name": name, "user": {"token": f"t-{name}"}} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}} for name in names],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | ({"current-context": current} if current else {})))
    return path


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_the_current_one_and_a_named_one(tmp_path: Path) -> None:
    config(tmp_path / "config", other="https://10.1.2.4")
    assert (find_context(None, os.environ).name, find_context(None, os.environ).namespace) == ("remote", "ns-remote")
    assert find_context("other", os.environ).server == "https://10.1.2.4"


def test_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = config(tmp_path / "a" / "config"), config(tmp_path / "b" / "config", current=None, more="https://10.9.9.9")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    assert find_context("more", os.environ).cluster["certificate-authority"] == str(second.parent / "ca.pem")
    assert find_context(None, os.environ).cluster["certificate-authority"] == str(first.parent / "ca.pem")


@pytest.mark.parametrize(
    ("first", "second", "current"),
    [("a", "b", "a"), (None, "b", "b"), ("", "b", "b"), ("a", None, "a")],
)
def test_the_first_current_context_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str | None, second: str | None, current: str
) -> None:
    files = [
        config(tmp_path / name, current=told, a="https://1.1.1.1", b="https://2.2.2.2") for name, told in (("1", first), ("2", second))
    ]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, [tmp_path / "missing", *files])))
    assert find_context(None, os.environ).name == current


def test_of_two_entries_of_a_name_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [config(tmp_path / name, same=server) for name, server in (("1", "https://1.1.1.1"), ("2", "https://2.2.2.2"))]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert find_context("same", os.environ).server == "https://1.1.1.1"


def test_a_name_without_anything_behind_it_hides_later_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1").write_text("{contexts: [{name: remote, context: null}]}")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / '1'}:{config(tmp_path / '2')}")
    with pytest.raises(EngineMissing, match="the context remote cannot be used: it names no cluster"):
        find_context(None, os.environ)


PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("server", "environ", "entry", "proxy"),
    [
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": PROXY}, {}, PROXY),
        ("https://10.1.2.3:6443", {"https_proxy": "proxy:3128"}, {}, PROXY),
        ("http://10.1.2.3:6443", {"HTTPS_PROXY": PROXY}, {}, None),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, {}, None),
        ("https://api.corp:6443", {"HTTPS_PROXY": PROXY, "no_proxy": "x.org,.corp"}, {}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": PROXY}, {}, None),
        ("https://127.9.9.9:6443", {"HTTPS_PROXY": PROXY}, {}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": PROXY}, {}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": PROXY}, {}, None),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}, {"proxy-url": PROXY}, PROXY),
        ("https://10.1.2.3:6443", {}, {}, None),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": PROXY, "https_proxy": "http://other:1"}, {}, PROXY),
        ("https://[::ffff:127.0.0.1]:6443", {"HTTPS_PROXY": PROXY}, {}, None),
    ],
)
def test_the_proxy_as_with_kubectl(server: str, environ: dict[str, str], entry: dict[str, str], proxy: str | None) -> None:
    assert proxy_of({"server": server, **entry}, environ) == proxy


@pytest.mark.parametrize(
    ("server", "no_proxy", "left_out"),
    [
        ("https://api.corp:6443", "corp", True),
        ("https://api.corp:6443", "*.corp", True),
        ("https://corp:6443", ".corp", False),
        ("https://xcorp:6443", "corp", False),
        ("https://api.corp.:6443", " x , API.Corp:6443 ", True),
        ("https://api.corp:6443", "api.corp:443", False),
        ("https://api.corp", "api.corp:443", True),
        ("https://api.corp:6443", "a,*", True),
        ("https://api.corp:6443", ",., ,", False),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.0.0/16", True),
        ("https://10.1.2.3:6443", "10.1.0.0/x,10.1", False),
        ("https://[fd00::1]:6443", "fd00::1", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "[fd00::1]:443", False),
        ("https://[fd00::1]:6443", "fd00::/8,10.0.0.0/8", True),
    ],
)
def test_no_proxy_as_with_kubectl(server: str, no_proxy: str, left_out: bool) -> None:
    found = {proxy_of({"server": server}, {"HTTPS_PROXY": PROXY, name: no_proxy}) for name in ("NO_PROXY", "no_proxy")}
    assert found == {None if left_out else PROXY}


@pytest.mark.parametrize("proxy", ["socks4://proxy:1080", "https://u:s3cret@proxy", "http://:3128", "http://proxy:x", "http://[::1"])
def test_a_proxy_that_we_cannot_speak_to_is_said(proxy: str) -> None:
    for entry, environ in (({"proxy-url": proxy}, {}), ({}, {"HTTPS_PROXY": proxy})):
        with pytest.raises(EngineMissing, match="envctl cannot reach a cluster through") as error:
            proxy_of({"server": "https://10.1.2.3", **entry}, environ)
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("server", ["", "https://[::1", "10.1.2.3:6443", "https://10.1.2.3:x", "https://"])
def test_a_server_that_is_no_address_is_said(tmp_path: Path, server: str) -> None:
    config(tmp_path / "config", remote=server)
    with pytest.raises(EngineMissing, match="the context remote cannot be used: its cluster 'remote' has"):
        find_context(None, os.environ)


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps({"contexts": [{"name": "c", "context": {"cluster": "gone"}}], "current-context": "c"}))
    with pytest.raises(EngineMissing, match="its cluster 'gone' has no server"):
        find_context(None, os.environ)


def test_a_plugin_beside_its_file_is_found_from_anywhere(tmp_path: Path) -> None:
    user = {"exec": {"command": "bin/login", "apiVersion": "client.authentication.k8s.io/v1"}}
    document = {"users": [{"name": "u", "user": user}, {"name": "p", "user": {"exec": {"command": "aws"}}}, "rubbish"]}
    (tmp_path / "config").write_text(json.dumps(document))
    found = read_kubeconfig(str(tmp_path / "config"))
    assert found is not None
    assert [entry["user"]["exec"]["command"] for entry in found["users"]] == [str(tmp_path / "bin/login"), "aws"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "there is no kubeconfig"),
        ("{", "is not valid YAML"),
        ("", "cannot be read|no current context"),
        ("contexts: []", "no current context"),
        ("{contexts: [], current-context: x}", "no Kubernetes context 'x'"),
        ("{users: 3}", "users is not a list"),
        ("{contexts: {a: b}}", "contexts is not a list"),
        ("{users: [{name: a, user: {}}, {name: a, user: {}}]}", "has two users named a"),
        ("{contexts: [{name: a, context: {}}, {name: a}]}", "has two contexts named a"),
        ("{clusters: [{cluster: {}}, {name: '', cluster: {}}]}", "has two clusters without a name"),
        ("{clusters: [{name: a, cluster: {insecure-skip-tls-verify: 'false'}}]}", 'the cluster a has insecure-skip-tls-verify: "false"'),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, written: str | None, words: str) -> None:
    if written is not None:
        (tmp_path / "config").write_text(written)
    with pytest.raises(EngineMissing, match=words):
        find_context(None, os.environ)


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    config(tmp_path / "config")
    with pytest.raises(EngineMissing) as error:
        find_context("remotte", os.environ)
    assert "did you mean 'remote'" in error.value.hint


@pytest.mark.parametrize(
    ("name", "server", "local"),
    [
        ("kind-x", "https://10.0.0.1", True),
        ("k3d-x", "https://x.example", False),
        ("k3d-x", "https://0.0.0.0:6550", True),
        ("kind-prod", "https://8.8.8.8", False),
        ("minikube", "https://192.168.49.2:8443", True),
        ("docker-desktop", "https://kubernetes.docker.internal:6443", True),
        ("any", "https://127.0.0.1:6443", True),
        ("any", "https://127.8.8.8:6443", True),
        ("any", "https://[::1]:6443", True),
        ("any", "https://localhost:6443", True),
        ("production", "https://10.1.2.3:6443", False),
        ("kinder", "https://api.example.com", False),
        ("localhost.example.com", "https://localhost.example.com", False),
        ("any", "", False),
    ],
)
def test_a_cluster_of_this_machine_is_recognised(name: str, server: str, local: bool) -> None:
    assert Context(name, server, {}, {}).local is local


def test_one_that_is_named_is_acted_on(tmp_path: Path) -> None:
    config(tmp_path / "config")
    assert approved("remote", os.environ).name == "remote"


def test_a_local_one_need_not_be_named(tmp_path: Path) -> None:
    config(tmp_path / "config", current="here", here="https://127.0.0.1:6443")
    assert approved(None, os.environ).name == "here"


def test_without_a_terminal_it_is_refused_and_says_how_to_say_so(tmp_path: Path) -> None:
    config(tmp_path / "config")
    with pytest.raises(UsageError, match="which was not named") as error:
        approved(None, os.environ)
    assert "--context remote" in error.value.hint


class Terminal:
    def __init__(self, answer: str) -> None:
        self.answer, self.said = answer, ""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.answer

    def write(self, text: str) -> None:
        self.said += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("answer", "goes"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)])
def test_on_a_terminal_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, goes: bool) -> None:
    config(tmp_path / "config")
    terminal = Terminal(answer)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("sys.stderr", terminal)
    if goes:
        assert approved(None, os.environ).name == "remote"
    else:
        with pytest.raises(UsageError):
            approved(None, os.environ)
    assert "remote" in terminal.said
    assert "10.1.2.3" in terminal.said


@pytest.mark.parametrize(("host", "server"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00:10:96::1", "https://[fd00:10:96::1]:443")])
def test_a_pod_of_a_cluster_uses_that(monkeypatch: pytest.MonkeyPatch, host: str, server: str) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    found = find_context(None, os.environ)
    assert found == Context("in-cluster", server, {}, {})
    assert urlsplit(found.server).hostname == host


def test_the_keeper_gets_texts_and_no_paths(tmp_path: Path) -> None:
    config(tmp_path / "config")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    told = credentials(find_context(None, os.environ))
    assert (told["server"], told["token"]) == ("https://10.1.2.3:6443", "t-remote")
    assert told["ca"].startswith("-----BEGIN")


def test_of_several_documents_the_first_counts(tmp_path: Path) -> None:
    text = config(tmp_path / "config").read_text()
    (tmp_path / "config").write_text(f"---\n{text}\n---\n{{current-context: other}}\n---\n{{")
    assert find_context(None, os.environ).name == "remote"


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({}, {"client-certificate": "a.pem", "token": "t"}, "has a client-certificate, but no client-key"),
        ({}, {"client-key-data": "YQ=="}, "has a client-key, but no client-certificate"),
        ({"insecure-skip-tls-verify": True, "certificate-authority-data": "YQ=="}, {}, "a certificate-authority that would not be used"),
    ],
)
def test_halves_that_kubectl_refuses(cluster: dict[str, object], user: dict[str, object], words: str) -> None:
    with pytest.raises(EnvctlError, match=words):
        credentials(Context("x", "https://x", cluster, user))


@pytest.mark.parametrize("other", [{"token": "t"}, {"exec": {"command": "x"}}, {"username": "u", "password": "p"}])
def test_a_key_beside_other_credentials_is_left_out_unread_as_by_kubectl(tmp_path: Path, other: dict[str, object]) -> None:
    user = {"client-key": str(tmp_path / "gone.pem"), **other}
    assert credentials(Context("x", "https://x", {}, user))["key"] is None


def test_a_tokens_file_need_not_be_there_beside_a_token(tmp_path: Path) -> None:
    user = {"token": "t", "tokenFile": str(tmp_path / "token")}
    assert credentials(Context("x", "https://x", {}, user))["token_file"] is None
    with pytest.raises(EnvctlError, match="cannot be read: No such file"):
        credentials(Context("x", "https://x", {}, {"tokenFile": user["tokenFile"]}))
    (tmp_path / "token").write_text("of the file")
    assert credentials(Context("x", "https://x", {}, user))["token_file"] == user["tokenFile"]


def test_a_plugin_is_handed_on() -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": ["eks", "get-token"],
        "env": [{"name": "A", "value": "b"}],
    }
    told = credentials(Context("x", "https://x", {}, {"exec": plugin}))
    assert told["exec"] == {"command": ["aws", "eks", "get-token"], "env": {"A": "b"}, "api_version": "client.authentication.k8s.io/v1"}


def test_a_certificate_that_is_no_base64_is_said() -> None:
    with pytest.raises(EnvctlError, match="certificate-authority-data is not base64"):
        credentials(Context("x", "https://x", {"certificate-authority-data": "!!!"}, {}))
