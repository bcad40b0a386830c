"""A simulated API server: a table gives the answer to each request, and all requests are recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from envctl.engines.kubernetes.access import access
from envctl.engines.kubernetes.api import Api
from envctl.engines.kubernetes.contexts import Context

Answer = dict[str, Any] | tuple[int, dict[str, Any]] | Callable[[dict[str, Any] | None], Any]


class Played:
    """A simulated API server.

    `answers` maps a method and a path (`GET /api/v1/namespaces`) to a body, to a status and a body, or to a function of the request's
    body that returns one of these. Other requests get 404. `asked` records each request and its body, `headers` its headers.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any] | None]] = []
        self.headers: list[list[tuple[str, str]]] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                what = f"{self.command} {urlsplit(self.path).path}"
                played.asked.append((f"{self.command} {self.path}", body))
                played.headers.append(self.headers.items())
                answer = played.answers.get(what, (404, {"message": "not found", "reason": "NotFound"}))
                answer = answer(body) if callable(answer) else answer
                status, told = answer if isinstance(answer, tuple) else (200, answer)
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, *words: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def kubeconfig(url: str, user: dict[str, Any] | None = None) -> str:
    """Return the JSON of a kubeconfig for the server at *url*; its context is called `played`."""
    return json.dumps({
        "current-context": "played",
        "contexts": [{"name": "played", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {}}],
    })  # fmt: skip


@contextmanager
def played_cluster() -> Iterator[Played]:
    played = Played()
    try:
        yield played
    finally:
        played.close()


def api_of(played: Played, environ: dict[str, str]) -> Api:
    """Return an Api for *played*; KUBECONFIG in *environ* is the path of the kubeconfig to use."""
    context = Context("played", played.url, {"server": played.url}, {})
    return Api(context, access(context, environ))
