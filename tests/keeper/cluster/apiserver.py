"""A fake API server: it lists and watches pods, and its port forwards lead to sockets of this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from envctl.keeper.cluster.websocket import CLOSE, GUID, Ended, WebSocket

PROTOCOL = "v4.channel.k8s.io"


def pod(
    name: str, *, service: str = "db", running: bool = True, ready: bool = True, created: str = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {}} if running else {"waiting": {}}
    return {
        "metadata": {
            "name": name, "uid": f"uid-{name}", "creationTimestamp": created,
            "labels": {"envctl.instance": "one-123456", "envctl.service": service},
        },
        "spec": {"containers": [{"name": service}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": service, "state": state}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }  # fmt: skip


class ApiServer:
    """A fake API server that returns what its attributes contain.

    Attributes:
        pods: The pods by name.
        ports: The local port that a forward leads to, by pod and port.
        token: The token that clients must send.
        refusing: Whether the server answers 503.
        looked: The number of requests for the instance's record.
        asked: The number of other requests.
        resumed: Whether each TLS connection has resumed an earlier session.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.ports: dict[tuple[str, int], int] = {}
        self.token = "secret"
        self.refusing = False
        self.record: str | None = "uid-record"
        """The uid of the instance's record; None if the record does not exist."""
        self.looked = 0
        self.forwards: list[WebSocket] = []
        self.asked = 0
        self.known: str | None = None
        """The Authorization header that a client must send; None for the token."""
        self.resumed: list[bool] = []
        self._version = 1
        self._changed = threading.Condition()
        self._log: list[tuple[int, str, dict[str, Any]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._open = True

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def put(self, seen: dict[str, Any], what: str = "MODIFIED") -> None:
        with self._changed:
            self.pods[seen["metadata"]["name"]] = seen
            self._note(what, seen)

    def remove(self, name: str) -> None:
        with self._changed:
            self._note("DELETED", self.pods.pop(name))

    def _note(self, what: str, seen: dict[str, Any]) -> None:
        self._version += 1
        self._log.append((self._version, what, seen))
        self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for forward in self.forwards:
            forward.close()
        self._server.shutdown()
        self._server.server_close()

    def break_watches(self) -> None:
        with self._changed:
            self._log.append((self._version, "BREAK", {}))
            self._changed.notify_all()

    def listed(self) -> dict[str, Any]:
        with self._changed:
            return {"items": list(self.pods.values()), "metadata": {"resourceVersion": str(self._version)}}

    def since(self, version: int) -> Iterator[dict[str, Any] | None]:
        """Yield the events after *version*, and None where the watch must break."""
        place = next((i for i, (number, _, _) in enumerate(self._log) if number > version), len(self._log))
        while True:
            with self._changed:
                while self._open and place >= len(self._log):
                    self._changed.wait(0.2)
                if not self._open:
                    return
                _, what, seen = self._log[place]
            place += 1
            yield None if what == "BREAK" else {"type": what, "object": {**seen, "metadata": {**seen["metadata"], "resourceVersion": "9"}}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if "/secrets/" in self.path:
                    api.looked += 1
                    self._say(*((200, {"metadata": {"uid": api.record}}) if api.record else (404, {"message": "not found"})))
                    return
                api.asked += 1
                if isinstance(self.connection, ssl.SSLSocket):
                    api.resumed.append(bool(self.connection.session_reused))
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                if self.headers.get("Authorization") != (api.known or f"Bearer {api.token}"):
                    self._say(401, {"message": "who are you"})
                elif api.refusing:
                    self._say(503, {"message": "not now"})
                elif parts.path.endswith("/portforward"):
                    api._forward(self, parts.path.split("/")[-2], int(query["ports"]))
                elif "watch" in query:
                    self._watch(int(query["resourceVersion"]))
                else:
                    self._say(200, api.listed())

            def _say(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _watch(self, version: int) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.flush()
                for event in api.since(version):
                    if event is None:
                        return
                    with suppress(OSError):
                        self.wfile.write(json.dumps(event).encode() + b"\n")
                        self.wfile.flush()

            def log_message(self, *words: Any) -> None:
                pass

        return Handler

    def _forward(self, handler: BaseHTTPRequestHandler, name: str, port: int) -> None:
        handler.close_connection = True
        if name not in self.pods:
            handler._say(404, {"message": f"pods {name} not found"})  # type: ignore[attr-defined]
            return
        key = handler.headers["Sec-WebSocket-Key"]
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode())
        handler.send_header("Sec-WebSocket-Protocol", PROTOCOL)
        handler.end_headers()
        handler.wfile.flush()
        carry(self, WebSocket(handler.connection), port, self.ports.get((name, port)))


def carry(api: ApiServer, client: WebSocket, port: int, target: int | None) -> None:
    """Forward a port as the kubelet does: send the port's number on both channels, then copy bytes."""
    api.forwards.append(client)
    for channel in (0, 1):
        client.send(bytes([channel]) + port.to_bytes(2, "little"))
    if target is None:
        client.send(b"\x01connection refused in the pod")
        return
    server = socket.create_connection(("127.0.0.1", target))

    def down() -> None:
        with suppress(OSError):
            while piece := server.recv(32768):
                client.send(b"\0" + piece)
            client.send((1000).to_bytes(2), CLOSE)
            client.close()

    threading.Thread(target=down, daemon=True).start()
    with suppress(OSError, Ended):
        while True:
            server.sendall(client.receive()[1:])
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
    server.close()


@contextmanager
def api_server(tls: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    server = ApiServer(tls)
    try:
        yield server
    finally:
        server.close()
