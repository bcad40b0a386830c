"""Tests of connecting to an API server: TLS, credentials, credential plugins, proxies."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envctl.keeper.cluster import api as cluster_api
from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.proxy import through
from envctl.keeper.helpers import Helpers
from tests.keeper.cluster.apiserver import ApiServer, api_server
from tests.keeper.cluster.servers import Server, asking_for_certificates, joined, socks_proxy

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def Cluster(told: dict[str, Any]) -> cluster_api.Cluster:  # noqa: N802
    return cluster_api.Cluster(told, Helpers(print).run)


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a CA, certificates of a server (for 127.0.0.1 and `kubernetes`) and a client, and a second CA that is not trusted."""
    found = tmp_path_factory.mktemp("pki")
    for name in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}",
                "-keyout", str(found / f"{name}.key"), "-out", str(found / f"{name}.crt"))  # fmt: skip
    (found / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:kubernetes")
    for name in ("server", "client"):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", str(found / f"{name}.key"), "-out", str(found / name)
        )
        openssl("x509", "-req", "-days", "1", "-in", str(found / name), "-CA", str(found / "ca.crt"), "-CAkey", str(found / "ca.key"),
                "-CAcreateserial", "-extfile", str(found / "names"), "-out", str(found / f"{name}.crt"))  # fmt: skip
    return found


@pytest.fixture
def api(folder: Path) -> Iterator[ApiServer]:
    """Yield an API server that requires client certificates."""
    with api_server(asking_for_certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")) as found:
        yield found


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text()


def told(api: ApiServer, folder: Path, **more: Any) -> dict[str, Any]:
    pair = {"cert": text(folder, "client.crt"), "key": text(folder, "client.key")}
    return {"server": api.url, "ca": text(folder, "ca.crt"), "token": "secret", **pair, **more}


def test_both_show_their_certificates_and_later_connections_resume(
    api: ApiServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cluster = Cluster(told(api, folder))
    for _ in range(3):
        answer, stream = cluster.open("/api/v1/namespaces/ns/pods", 20)
        with stream, answer:
            assert b"items" in answer.read()
            cluster.remember(stream)
    assert api.resumed == [False, True, True]
    assert not list(tmp_path.iterdir()), "a private key that was written for OpenSSL is gone"


def test_a_server_that_is_not_who_it_should_be_is_refused(api: ApiServer, folder: Path) -> None:
    for wrong in ({"ca": text(folder, "stranger.crt")}, {"tls_server_name": "example.org"}):
        with pytest.raises(ssl.SSLCertVerificationError):
            Cluster(told(api, folder, **wrong)).fetch("/pods")
    for right in ({"tls_server_name": "kubernetes"}, {"ca": None, "insecure": True}):
        assert "items" in Cluster(told(api, folder, **right)).fetch("/pods")


def test_user_and_password(api: ApiServer, folder: Path) -> None:
    api.known = "Basic " + base64.b64encode(b"me:p\xc3\xa4ss").decode()
    assert "items" in Cluster(told(api, folder, token=None, user="me", password="p\u00e4ss")).fetch("/pods")


def test_a_tokens_file_is_read_again(api: ApiServer, folder: Path, tmp_path: Path) -> None:
    """A token file is replaced before its token expires."""
    cluster = Cluster(told(api, folder, token=None, token_file=str(tmp_path / "token")))
    for api.token in ("first", "second"):
        (tmp_path / "token").write_text(f"{api.token}\n")
        assert "items" in cluster.fetch("/pods")


def test_new_credentials_count_from_then_on(api: ApiServer, folder: Path) -> None:
    cluster = Cluster(told(api, folder))
    assert "items" in cluster.fetch("/pods")
    api.token = "another"
    with pytest.raises(Refused):
        cluster.fetch("/pods")
    cluster.renew(told(api, folder, token="another"))
    assert "items" in cluster.fetch("/pods")


PLUGIN = """
import json, pathlib, sys
count, ends, cert, key = sys.argv[1:]
with open(count, "a") as stream:
    stream.write("x")
given = {"token": "secret", "clientCertificateData": pathlib.Path(cert).read_text(), "clientKeyData": pathlib.Path(key).read_text()}
print(json.dumps({"kind": "ExecCredential", "status": given | ({"expirationTimestamp": ends} if ends else {})}))
"""


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@pytest.mark.parametrize(("seconds", "once"), [(None, True), (3600, True), (5, False)])
def test_a_plugin_is_asked_again_before_its_credentials_end(
    api: ApiServer, folder: Path, tmp_path: Path, seconds: int | None, once: bool
) -> None:
    ends = "" if seconds is None else stamp(seconds)
    pair = [str(folder / "client.crt"), str(folder / "client.key")]
    plugin = {"command": [sys.executable, "-c", PLUGIN, str(tmp_path / "count"), ends, *pair], "env": {}}
    cluster = Cluster(told(api, folder, token=None, cert=None, key=None, exec=plugin))
    for _ in range(2):
        assert "items" in cluster.fetch("/pods")
    assert ((tmp_path / "count").read_text() == "x") is once


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('log in first')", "log in first"),
        ("print('{}')", "no credentials"),
        ("print('no JSON')", "no credentials"),
        ("""print('{"status": {"token": "t", "expirationTimestamp": "tomorrow"}}')""", "tomorrow"),
    ],
)
def test_a_plugin_that_gives_nothing_is_said(api: ApiServer, folder: Path, program: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        Cluster(told(api, folder, exec={"command": [sys.executable, "-c", program], "env": {}})).fetch("/pods")


def test_a_plugin_that_is_missing_is_said(api: ApiServer, folder: Path) -> None:
    with pytest.raises(Refused, match="/none/there"):
        Cluster(told(api, folder, exec={"command": ["/none/there"], "env": {}})).fetch("/pods")


def proxy_that_knows(expected: bytes) -> Server:
    """Start an HTTP proxy that accepts requests containing *expected*."""

    def lead(client: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += client.recv(1)
        if expected not in asked:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        host, _, port = asked.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            joined(client, server)

    return Server(lead)


def test_a_proxy_and_its_password(api: ApiServer, folder: Path) -> None:
    expected = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:a@b")
    proxy = proxy_that_knows(expected)
    try:
        assert "items" in Cluster(told(api, folder, proxy=f"http://me:a%40b@127.0.0.1:{proxy.port}")).fetch("/pods")
        with pytest.raises(Refused, match="407") as refused:
            Cluster(told(api, folder, proxy=f"http://me:wrong@127.0.0.1:{proxy.port}")).fetch("/pods")
        assert "wrong" not in str(refused.value), "a password is not said"
    finally:
        proxy.close()


def test_an_impersonated_user_is_said_in_every_request(api: ApiServer, folder: Path) -> None:
    cluster = Cluster(told(api, folder, impersonate={"as": "ann", "as-groups": ["a", "b"]}))
    assert cluster.headers()[1:] == [("Impersonate-User", "ann"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]
    assert cluster.fetch("/pods")["items"] == []


def test_a_socks_proxy(api: ApiServer, folder: Path) -> None:
    """`ssh -D` is such a proxy."""
    with socks_proxy() as proxy:
        assert "items" in Cluster(told(api, folder, proxy=f"socks5://127.0.0.1:{proxy.port}")).fetch("/pods")
        assert [host for host, _ in proxy.asked] == ["127.0.0.1"]


def test_a_socks_proxy_with_a_login(api: ApiServer, folder: Path) -> None:
    with socks_proxy(b"me", b"a@b") as proxy:
        assert "items" in Cluster(told(api, folder, proxy=f"socks5://me:a%40b@127.0.0.1:{proxy.port}")).fetch("/pods")
        for login, words in (("me:wr0ng@", "does not accept this login"), ("", "needs a login")):
            with pytest.raises(Refused, match=f"the proxy 127.0.0.1 refuses: it {words}") as refused:
                Cluster(told(api, folder, proxy=f"socks5://{login}127.0.0.1:{proxy.port}")).fetch("/pods")
            assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize("host", ["api.corp", "größe.corp", "10.1.2.3", "fd00::1"])
def test_a_socks_proxy_looks_names_up_itself(host: str) -> None:
    with socks_proxy(refusing=4) as proxy:
        with pytest.raises(Refused, match="the host cannot be reached"):
            through(f"socks5h://127.0.0.1:{proxy.port}", host, 6443, 10)
        assert proxy.asked == [(host.encode("idna").decode() if host[-1] == "p" else host, 6443)]


def test_what_is_no_socks_proxy() -> None:
    for answer, words in ((b"HTTP/1.1 400 Bad Request", "does not speak SOCKS 5"), (b"", "closed the connection")):

        def say(client: socket.socket, answer: bytes = answer) -> None:
            client.recv(9)
            client.sendall(answer)

        server = Server(say)
        try:
            with pytest.raises((Refused, ConnectionError), match=words):
                through(f"socks5://127.0.0.1:{server.port}", "a", 1, 10)
        finally:
            server.close()
