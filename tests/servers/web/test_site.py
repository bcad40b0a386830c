"""Tests of the web server that replaces nginx on the local engine, with requests over a socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.servers.http.message import Request, Response
from envctl.servers.http.server import listen, serve
from envctl.servers.http.wire import Refused
from envctl.servers.web.site import Site
from tests.servers.http_client import Reply, call


class Behind:
    """A server that returns the request that it received."""

    def admit(self, request: Request) -> None:
        """Admit every request."""

    def refusal(self, status: int, words: str) -> Response:
        return Response(status, body=words.encode())

    def answer(self, request: Request) -> Response:
        if request.path == "/v1/absent":
            raise Refused(404, "not there")
        headers = {name.lower(): value for name, value in request.headers}
        said = {"method": request.method, "url": request.url, "body": request.body.decode(), "headers": headers}
        return Response(201, headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Behind", "yes")), body=json.dumps(said).encode())


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret.txt").write_text("not for everybody")
    pages = folder / "pages"
    (pages / "sub").mkdir(parents=True)
    (pages / "index.html").write_text("<h1>Grüße</h1>", "utf-8")
    (pages / "ä b.js").write_text("let x;")
    (pages / "sub" / "index.html").write_text("below")
    yield from serving(pages)


def serving(pages: Path) -> Iterator[int]:
    """Yield the port of a site that serves *pages* and proxies to one running server and one closed port."""
    behind, nobody, front = (listen("127.0.0.1", 0) for _ in range(3))
    ports = [server.getsockname()[1] for server in (behind, nobody, front)]
    nobody.close()
    behind_url, gone = (f"http://127.0.0.1:{port}" for port in ports[:2])
    site = Site(
        str(pages),
        {"/api/": behind_url, "/api/deep/": f"{behind_url}/v1/", "/gone/": gone},
        {"shop.test": {"/": behind_url, "/gone": gone}},
    )
    for server, application in ((behind, Behind()), (front, site)):
        threading.Thread(target=serve, args=(server, application), daemon=True).start()
    yield ports[2]
    for server in (behind, front):
        server.close()


def get(port: int, url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
    return call(port, method, url, body, headers)


@pytest.mark.parametrize(
    ("url", "kind", "text"),
    [
        ("/", "text/html", "<h1>Grüße</h1>"),
        ("/?v=2", "text/html", "<h1>Grüße</h1>"),
        ("/sub/", "text/html", "below"),
        ("/%C3%A4%20b.js", "text/javascript", "let x;"),
    ],
)
def test_files(port: int, url: str, kind: str, text: str) -> None:
    reply = get(port, url)
    assert (reply.status, reply.headers["Content-Type"], reply.text) == (200, kind, text)


@pytest.mark.parametrize("url", ["/none", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/../../secret.txt", "/x%00", "/index.html/"])
def test_nothing_else(port: int, url: str) -> None:
    assert get(port, url).status == 404


def test_a_folder_without_its_slash(port: int) -> None:
    reply = get(port, "/sub")
    assert (reply.status, reply.headers["Location"]) == (301, "sub/")


def test_files_are_not_written(port: int) -> None:
    assert get(port, "/index.html", "PUT", b"x").status == 405


def test_head_has_no_body(port: int) -> None:
    reply = get(port, "/", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_the_server_behind_gets_the_request_without_the_beginning_of_its_path(port: int) -> None:
    reply = get(port, "/api/orders/%2F?q=a%20b", "POST", b"{}", Authorization="Bearer t", Host="shop.example")
    said = reply.json
    assert (reply.status, reply.headers["X-Behind"]) == (201, "yes")
    assert (said["method"], said["url"], said["body"]) == ("POST", "/orders/%2F?q=a%20b", "{}")
    assert said["headers"]["authorization"] == "Bearer t"
    assert said["headers"]["host"] == "shop.example"
    assert said["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_the_longest_path_wins_and_a_url_may_have_one(port: int) -> None:
    assert get(port, "/api/deep/x").json["url"] == "/v1/x"
    assert get(port, "/api/deep/absent").status == 404


def test_a_server_that_does_not_answer(port: int) -> None:
    reply = get(port, "/gone/x")
    assert reply.status == 502
    assert "does not answer" in reply.text


@pytest.mark.parametrize("host", ["shop.test", "Shop.Test:8080"])
def test_a_host_has_a_server_of_its_own_that_gets_the_whole_path(port: int, host: str) -> None:
    assert get(port, "/api/x?q=1", Host=host).json["url"] == "/api/x?q=1"
    assert get(port, "/gone/x", Host=host).status == 502
    assert get(port, "/goner", Host=host).status == 201
