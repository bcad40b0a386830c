from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from envctl.errors import ServiceFailed
from envctl.seeding import Seeder, seed
from tests.builders import FakeDeployment, plan_with, port, service, step_of


class Api(ThreadingHTTPServer):
    """An HTTP server that records its requests; the last part of a request's path is the status of the answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.asked.append((self.command, self.path, content, {key.lower(): value for key, value in self.headers.items()}))
                self.send_response(int(self.path.rpartition("/")[2]))
                self.end_headers()
                self.wfile.write(b"the api's words")

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None: ...

        server = self
        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(folder: Path, api: Api, given: Any, name: str = "") -> None:
    if name:
        (folder / name).write_text(given)
    services = [service(each, ports=(port("http", 80, api.server_port),), outside={"host": "127.0.0.1"}) for each in ("db", "orders")]
    files, inline = ((folder / name,), None) if name else ((), given)
    step = step_of("db", step={"http": name or given, "in": "orders"}, files=files, inline=inline)
    seed(step, Seeder(plan_with(*services, project=folder), FakeDeployment(), {}, folder))


def test_requests_are_sent_in_order(tmp_path: Path, api: Api) -> None:
    send(
        tmp_path,
        api,
        [
            {"path": "/a/201", "json": {"ü": [1]}, "headers": {"X-Who": "Zoë"}},
            {"method": "PUT", "path": "/b/204?x=1/204", "body": "ü"},
            {"path": "/c/404", "expect": [404, 410]},
            {"method": "DELETE", "path": "/d/302", "expect": 302},
            {"path": "/e/200", "base64": "AP8="},
        ],
    )
    assert [(method, path, body) for method, path, body, _ in api.asked] == [
        ("POST", "/a/201", '{"ü": [1]}'.encode()),
        ("PUT", "/b/204?x=1/204", "ü".encode()),
        ("GET", "/c/404", b""),
        ("DELETE", "/d/302", b""),
        ("POST", "/e/200", b"\0\xff"),
    ]
    first = api.asked[0][3]
    assert first["content-type"] == "application/json"
    assert first["x-who"].encode("latin-1").decode() == "Zoë"


FILE = """\
### Make one
# expect 201
POST /orders/201 HTTP/1.1
Content-Type: application/json
X-Who: me

{"id": 1,
 "text": "a

b"}

###

GET /orders/200
### nothing
# only a comment
###
// expect 404
DELETE /orders/404
"""


def test_an_http_file(tmp_path: Path, api: Api) -> None:
    send(tmp_path, api, FILE, "x.http")
    assert [(method, path, body) for method, path, body, _ in api.asked] == [
        ("POST", "/orders/201", b'{"id": 1,\n "text": "a\n\nb"}'),
        ("GET", "/orders/200", b""),
        ("DELETE", "/orders/404", b""),
    ]
    assert api.asked[0][3]["x-who"] == "me"


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("x.yaml", "- path: /a/200\n- path: /a/409\n", ":2", "GET /a/409 answered 409"),
        ("x.yaml", "- path: /a/200\n- {path: /a/200, expect: 201}\n", ":2", "GET /a/200 answered 200"),
        ("x.yaml", "- {path: /a/200, boby: x}\n", ":1", "boby: unknown key; known: body, json"),
        ("x.yaml", "- {path: a}\n", ":1", "'a' is not a path of the service"),
        ("x.yaml", "a: {path: /a}\n", ":1", "a list of entries is expected"),
        ("x.jsonl", '{"path": "/a/200"}\n{"path": "/a/200", "base64": "%"}\n', ":2", "its body: "),
        ("x.http", "GET /a/200\n\n###\nGET /a/500\n", ":4", "GET /a/500 answered 500"),
        ("x.http", "GET http://elsewhere/\n", ":1", "is not a request, such as `POST /orders`"),
        ("x.http", "FETCH it please\n", ":1", "is not a request"),
        ("x.http", "POST /a/200\nno header\n", ":2", "'no header' is not a header"),
        ("x.http", "GET /a/{{id}}\n", ":1", "variables"),
    ],
)
def test_a_failure_is_named_with_its_line(tmp_path: Path, api: Api, name: str, text: str, place: str, words: str) -> None:
    with pytest.raises(ServiceFailed) as caught:
        send(tmp_path, api, text, name)
    assert f"failed at {tmp_path / name}{place}: " in caught.value.message
    assert words in caught.value.message
    if "answered" in words:
        assert caught.value.evidence is not None
        assert "the api's words" in caught.value.evidence.logs
