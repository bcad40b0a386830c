"""Connections: a thread each, one request after the other on it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from .message import Request, Response, text_response
from .wire import BadRequest, closes, encode, keeps_alive, read_request

Answer = Callable[[Request], Response]

BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections; port 0 is any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def serve(listener: socket.socket, answer: Answer) -> None:
    """Answer every request that arrives, until the process ends."""
    while True:
        try:
            connection, address = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            threading.Thread(target=converse, args=(connection, address[0], answer), daemon=True).start()
        except (OSError, RuntimeError):
            time.sleep(0.05)  # out of descriptors or threads: those in use become free again


def converse(connection: socket.socket, client: str, answer: Answer) -> None:
    """Answer the requests of one connection until one side ends it."""
    with connection, connection.makefile("rb") as stream:
        try:
            while (request := read_request(stream, client, connection.sendall)) and _reply(connection, request, answer):
                pass
        except BadRequest as error:
            _refuse(connection, error)
        except OSError:
            pass  # the client has left


def _reply(connection: socket.socket, request: Request, answer: Answer) -> bool:
    """Answer a request; whether the connection goes on."""
    response = _safe(answer, request)
    keep = keeps_alive(request) and not closes(response)
    if response.delay:
        time.sleep(response.delay)
    connection.sendall(encode(response, request.method, keep))
    return keep


def _safe(answer: Answer, request: Request) -> Response:
    try:
        return answer(request)
    except Exception as error:  # whatever a request does, it must not take its connection down without an answer
        return text_response(500, f"The stub failed on this request: {type(error).__name__}: {error}\n")


def _refuse(connection: socket.socket, error: BadRequest) -> None:
    response = text_response(error.status, f"Bad request: {error}\n")
    with contextlib.suppress(OSError):  # the client may have left
        connection.sendall(encode(response, "GET", keep=False))
