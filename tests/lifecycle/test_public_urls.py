"""Public URLs on a cluster are requested before they are reported; a fake ingress controller routes by the Host header."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from envctl.instance.record import Record, ServiceRecord
from envctl.lifecycle import public_urls
from envctl.lifecycle.public_urls import fault, public_faults, sentences, with_public_faults
from envctl.plan.exposing import Exposed
from envctl.plan.model import Plan, Port
from tests.builders import plan_with, record_of, service


class Server:
    """A server that answers each request with the status and the text that `says(host, path)` returns."""

    def __init__(self, says: Callable[[str, str], tuple[int, str]]) -> None:
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(dict(self.headers.items()))
                status, text = says(self.headers["Host"].partition(":")[0], self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.port: int = self.server.server_address[1]


Serve = Callable[[Callable[[str, str], tuple[int, str]]], Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    made: list[Server] = []

    def make(says: Callable[[str, str], tuple[int, str]]) -> Server:
        made.append(Server(says))
        return made[-1]

    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *args, **more: resolve("127.0.0.1" if host == "web.previews.test" else host, *args, **more)
    )
    monkeypatch.setattr(public_urls, "PERIOD", 0.0)
    yield make
    for each in made:
        each.server.shutdown()
        each.server.server_close()


def at(port: int, host: str = "web.previews.test", path: str = "/", scheme: str = "http") -> Exposed:
    return Exposed(host, path, 8080, f"{scheme}://{host}:{port}{path.rstrip('/')}")


def controller(program: Callable[[str, str], tuple[int, str]], known: bool = True) -> Callable[[str, str], tuple[int, str]]:
    return lambda host, path: program(host, path) if known and host == "web.previews.test" else (404, "default backend - 404")


@pytest.mark.parametrize("status", [200, 302, 401, 403])
def test_it_answers(serve: Serve, status: int) -> None:
    assert fault(at(serve(controller(lambda host, path: (status, path))).port, path="/shop/"), "") == ""


def test_the_controller_knows_nothing_of_it_yet(serve: Serve) -> None:
    program = serve(lambda host, path: (200, "hello"))
    front = serve(controller(lambda host, path: (200, "hello"), known=False))
    assert fault(at(front.port), f"http://127.0.0.1:{program.port}") == "404 from the controller; the service itself answers 200"
    assert fault(at(front.port), "") == "404 from the controller"
    assert program.asked[0]["Host"] == "web.previews.test"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_what_the_program_itself_says_is_an_answer(serve: Serve, status: int) -> None:
    def says(host: str, path: str) -> tuple[int, str]:
        return status, f"nothing at {path} of {host}"

    program, front, busy = serve(says), serve(controller(says)), serve(lambda host, path: (503, "no upstream"))
    assert fault(at(front.port), f"http://127.0.0.1:{program.port}") == ""
    assert fault(at(busy.port), f"http://127.0.0.1:{program.port}") == f"503 from the controller; the service itself answers {status}"


def test_nobody_is_there(serve: Serve) -> None:
    front = serve(controller(lambda host, path: (200, "")))
    assert fault(at(front.port, host="nobody.invalid"), "") == "DNS does not resolve nobody.invalid here"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert fault(at(closed.getsockname()[1]), "") == "connection refused"
    assert fault(at(front.port, scheme="https"), "")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(public_urls, "PATIENCE", 0.1)
            assert fault(at(silent.getsockname()[1]), "") == "no answer within 0.1 s"


def test_credentials_for_such_a_host_stay_here(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    front = serve(controller(lambda host, path: (200, "")))
    fault(at(front.port), "")
    assert "Authorization" not in front.asked[0]


def planned(*exposed: Exposed, shares: bool = True) -> tuple[Plan, Record]:
    services = [replace(service(f"web{n}", ports=(Port("http", 8080, 1),)), exposed=each) for n, each in enumerate(exposed)]
    plan = plan_with(*services)
    setting = replace(plan.setting, engine=plan.setting.engine._replace(shares_namespaces=shares))
    known = {each.name: ServiceRecord("web", public_url=each.exposed.url if each.exposed else "") for each in services}
    return replace(plan, setting=setting), replace(record_of(), services=known)


def test_all_are_asked_and_what_does_not_answer_is_said(serve: Serve) -> None:
    front = serve(controller(lambda host, path: (200, "")))
    plan, record = planned(at(front.port), at(front.port, host="nobody.invalid"))
    faults = public_faults(plan, record, time.monotonic() + 60)
    assert faults == {"web0": "", "web1": "DNS does not resolve nobody.invalid here"}
    found = with_public_faults(record, faults)
    assert list(sentences(found)) == [
        f"web1: its public URL http://nobody.invalid:{front.port} does not answer yet: DNS does not resolve nobody.invalid here"
    ]
    assert list(sentences(with_public_faults(found, {"web0": "", "web1": ""}))) == []


def test_a_new_one_is_asked_until_it_answers(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_urls, "PERIOD", 60.0)
    front = serve(lambda host, path: (200, "") if len(front.asked) == 3 else (404, ""))
    plan, record = planned(at(front.port))
    assert public_faults(plan, record, time.monotonic() + 60) == {"web0": ""}
    assert len(front.asked) == 3


def test_one_that_did_not_answer_is_asked_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_urls, "PERIOD", 60.0)
    front = serve(lambda host, path: (404, ""))
    plan, record = planned(at(front.port))
    known = with_public_faults(record, {"web0": "404"})
    assert public_faults(plan, known, time.monotonic() + 60) == {"web0": "404 from the controller"}
    assert len(front.asked) == 1


def test_a_deadline_that_is_over_is_no_failure() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        plan, record = planned(at(silent.getsockname()[1], host="127.0.0.1"))
        assert "no answer within" in public_faults(plan, record, time.monotonic())["web0"]


def test_a_proxy_of_ours_is_a_service_and_not_asked_again(serve: Serve) -> None:
    front = serve(lambda host, path: (404, ""))
    assert public_faults(*planned(at(front.port), shares=False), time.monotonic() + 60) == {}
    assert front.asked == []
