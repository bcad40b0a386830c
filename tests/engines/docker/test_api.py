from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.api import ApiError, Daemon, Endpoint
from envctl.errors import EngineMissing
from tests.fakedaemon import Answer, FakeDaemon, running
from tests.keeper.cluster.servers import asking_for_certificates


def echo(method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
    return 200, {"method": method, "path": path, "query": query}


@pytest.fixture(params=["unix", "tcp"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    with running(echo, tcp=request.param == "tcp") as found:
        yield found


def daemon(server: FakeDaemon, timeout: float = 5.0) -> Daemon:
    return Daemon(Endpoint(server.host), timeout)


def test_an_answer_is_its_json(server: FakeDaemon) -> None:
    assert daemon(server).get("/version") == {"method": "GET", "path": "/version", "query": {}}
    assert daemon(server).request("DELETE", "/containers/a", {"force": "1"})["query"] == {"force": "1"}


def test_texts_of_a_query_are_as_they_are_and_the_rest_json(server: FakeDaemon) -> None:
    found = daemon(server).get("/containers/json", all="1", filters={"label": ["a=b c&d"]})
    assert found["query"] == {"all": "1", "filters": '{"label": ["a=b c&d"]}'}


def test_a_path_may_hold_anything(server: FakeDaemon) -> None:
    assert daemon(server).get("/images/corp:5000/a b?c#ü:1/json")["path"] == "/images/corp:5000/a b?c#ü:1/json"


def test_a_connection_is_used_again(server: FakeDaemon) -> None:
    client = daemon(server)
    for _ in range(3):
        client.get("/version")
    assert (len(server.asked), server.connections) == (3, 1)


def test_every_thread_has_a_connection_of_its_own(server: FakeDaemon) -> None:
    client = daemon(server)
    threads = [threading.Thread(target=client.get, args=("/version",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert (len(server.asked), server.connections) == (3, 3)


def test_a_connection_that_the_daemon_closed_is_made_anew(server: FakeDaemon) -> None:
    client = daemon(server)
    server.hangs_up = True
    for _ in range(3):
        assert client.request("POST", "/containers/a/stop")["method"] == "POST"
    assert len(server.asked) == 3
    assert server.connections == 3


def test_a_daemon_that_answers_nothing_is_asked_once(server: FakeDaemon) -> None:
    server.silent = True
    with pytest.raises(OSError, match="Remote end closed connection without response"):
        daemon(server).get("/version")
    assert len(server.asked) == 1


def test_after_a_failure_it_can_be_asked_again(server: FakeDaemon) -> None:
    client = daemon(server)
    server.silent = True
    with pytest.raises(OSError, match="Remote end closed"):
        client.get("/version")
    server.silent = False
    assert client.get("/version")["path"] == "/version"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, {"message": "no such container: ü"}, "no such container: ü"),
        (409, {"message": 5}, "5"),
        (500, {"error": "other"}, '{"error": "other"}'),
        (500, [], "[]"),
        (502, b"<html>bad gateway</html>\n", "<html>bad gateway</html>"),
        (500, b"\xff", "\ufffd"),
        (503, None, ""),
        (400, "text", '"text"'),
    ],
)
def test_a_refusal_is_the_daemons_own_words(status: int, body: object, words: str) -> None:
    with running(lambda *asked: (status, body)) as server, pytest.raises(ApiError) as caught:
        daemon(server).get("/x")
    assert (caught.value.status, str(caught.value)) == (status, words)


@pytest.mark.parametrize(("status", "body"), [(204, None), (200, None), (201, b"\n")])
def test_an_answer_without_json_is_none(status: int, body: bytes | None) -> None:
    with running(lambda *asked: (status, body)) as server:
        client = daemon(server)
        assert client.request("DELETE", "/networks/x") is None
        assert client.request("DELETE", "/networks/y") is None


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with running(lambda *asked: (200, b"<html>")) as server, pytest.raises(ValueError, match="Expecting value"):
        daemon(server).get("/version")


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Daemon(Endpoint(f"unix://{tmp_path}/no.sock")).get("/version")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="Connection refused"):
            Daemon(Endpoint(f"tcp://127.0.0.1:{held.getsockname()[1]}")).get("/version")


def test_a_daemon_that_does_not_answer_in_time() -> None:
    go_on = threading.Event()

    def late(*asked: object) -> Answer:
        go_on.wait(10)
        return 200, {}

    with running(late) as server:
        with pytest.raises(EngineMissing, match=r"Docker did not answer for 0\.05 s at unix://"):
            daemon(server, timeout=0.05).get("/version")
        go_on.set()


def test_something_else_listens(tmp_path: Path) -> None:
    """An SSH server, for example, sends a greeting that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(OSError, match=r"SSH-2\.0-OpenSSH"):
            Daemon(Endpoint(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), 5).get("/version")
        thread.join(5)


# TLS and SSH


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder laid out like DOCKER_CERT_PATH, with one key pair whose certificate is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


@pytest.fixture
def secure(certificates: Path) -> Iterator[str]:
    """Yield the address of a TLS server that requires a client certificate and answers one request."""
    context = asking_for_certificates(certificates / "ca.pem", certificates / "cert.pem", certificates / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as stream:
                    stream.recv(10000)
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except (ssl.SSLError, OSError):
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def test_tls_with_both_certificates(secure: str, certificates: Path) -> None:
    assert Daemon(Endpoint(secure, str(certificates)), 5).get("/version") == {}


def test_tls_with_an_authority_that_is_not_known(secure: str, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        Daemon(Endpoint(secure, str(tmp_path)), 5).get("/version")


def test_tls_without_verification(secure: str, certificates: Path, tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    assert Daemon(Endpoint(secure, str(tmp_path), verify=False), 5).get("/version") == {}


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_ssh_dials_on_the_other_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    body = "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
    ssh.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words.new; mv {tmp_path}/words.new {tmp_path}/words; read line; printf "{body}"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Daemon(Endpoint("ssh://me@host:2222"), 5).get("/version") == {}
    expected = ["-o", "BatchMode=yes", "-l", "me", "-p", "2222", "--", "host", "docker", "system", "dial-stdio"]
    assert (tmp_path / "words").read_text().split() == expected


def test_an_answer_that_goes_on_is_its_lines() -> None:
    with running(lambda method, path, query: (200, b'{"a": 1}\n\n{"a": 2}\n')) as server:
        stream = daemon(server).stream("/events", filters={"label": ["a"]})
        assert list(stream) == [{"a": 1}, {"a": 2}]
        stream.close()
        assert server.filters() == {"label": ["a"]}


def test_an_answer_that_goes_on_may_be_refused() -> None:
    with (
        running(lambda method, path, query: (400, {"message": "no such filter"})) as server,
        pytest.raises(ApiError, match="no such filter"),
    ):
        daemon(server).stream("/events")


def test_a_daemon_that_breaks_off_has_no_answer_that_goes_on() -> None:
    with running(echo, silent=True) as server, pytest.raises(OSError, match="closed connection"):
        daemon(server).stream("/events")


def test_an_answer_that_goes_on_is_closed_by_whoever_waits_no_more() -> None:
    """The daemon sends the answer in pieces; closing the stream ends the thread that reads from it."""
    read: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_send_one_piece, args=(listening,), daemon=True)
        thread.start()
        stream = Daemon(Endpoint(f"tcp://127.0.0.1:{listening.getsockname()[1]}"), 5.0).stream("/events")
        ended = threading.Event()

        def take() -> None:
            with suppress(Exception):
                read.extend(stream)
            ended.set()

        first = iter(stream)
        read.append(next(first))
        threading.Thread(target=take, daemon=True).start()
        stream.close()
        assert ended.wait(10)
        assert read == [{"a": 1}]
        thread.join(10)
    assert not thread.is_alive(), "the other side saw it, too"


def _send_one_piece(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(65536)
        piece = b'{"a": 1}\n'
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(piece), piece))
        while connection.recv(65536):
            pass
