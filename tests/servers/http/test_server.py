"""Tests of the shared HTTP server's connections: admission, what follows a response, and their maximum number."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from envctl.servers.http.message import Request, Response
from envctl.servers.http.server import Settings, converse, listen, serve
from envctl.servers.http.wire import Limits, Refused


class Application:
    """An application that answers with a given function."""

    def __init__(self, answer: Callable[[Request], Response] = lambda request: Response(200, body=request.body)) -> None:
        self._answer = answer

    def admit(self, request: Request) -> None:
        if request.header("Secret") == ["wrong"]:
            raise Refused(401, "not you")

    def answer(self, request: Request) -> Response:
        return self._answer(request)

    def refusal(self, status: int, words: str) -> Response:
        return Response(status, body=words.encode())


Talk = Callable[..., socket.socket]


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Return a function that starts serving a connection and returns the client's end of it."""
    open_: list[socket.socket] = []

    def begin(application: Application, settings: Settings = Settings()) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        open_.append(ours)
        threading.Thread(target=converse, args=(theirs, "", application, settings), daemon=True).start()
        return ours

    yield begin
    for each in open_:
        each.close()


def everything(stream: socket.socket) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def test_a_body_that_nobody_wants_is_not_waited_for(talk: Talk) -> None:
    stream = talk(Application())
    stream.sendall(b"POST / HTTP/1.1\r\nSecret: wrong\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
    found = everything(stream)
    assert found.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert found.endswith(b"\r\nConnection: close\r\n\r\nnot you")


def test_the_answer_arrives_though_the_body_was_not_read(talk: Talk) -> None:
    stream = talk(Application(), Settings(Limits(body=10)))
    stream.sendall(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    assert everything(stream).startswith(b"HTTP/1.1 413 ")


def test_a_refusal_by_the_answer_leaves_the_connection(talk: Talk) -> None:
    def answer(request: Request) -> Response:
        if request.url == "/no":
            raise Refused(409, "taken")
        return Response(200)

    stream = talk(Application(answer))
    stream.sendall(b"GET /no HTTP/1.1\r\n\r\nGET /yes HTTP/1.1\r\nConnection: close\r\n\r\n")
    found = everything(stream)
    assert found.startswith(b"HTTP/1.1 409 Conflict\r\n")
    assert b"\r\nConnection: keep-alive\r\n\r\ntakenHTTP/1.1 200 OK\r\n" in found


@pytest.mark.parametrize("waits", [True, False])
def test_what_comes_then_comes_after_the_answer_and_without_who_asked(talk: Talk, waits: bool) -> None:
    then = threading.Event()
    begun, go = threading.Event(), threading.Event()

    def answer(request: Request) -> Response:
        begun.set()
        assert go.wait(20)
        return Response(200, then=then.set)

    stream = talk(Application(answer))
    stream.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert begun.wait(20)
    if not waits:
        stream.close()
    go.set()
    assert not waits or everything(stream).startswith(b"HTTP/1.1 200 ")
    assert then.wait(20)


def test_a_connection_can_be_taken_over(talk: Talk) -> None:
    stream = talk(Application(lambda request: Response(200, take_over=lambda connection: connection.sendall(b"mine"))))
    stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert everything(stream) == b"mine"


@pytest.mark.parametrize("settings", [Settings(idle=0.05), Settings(patience=0.05)], ids=["idle", "patience"])
def test_who_says_nothing_is_left(talk: Talk, settings: Settings) -> None:
    stream = talk(Application(), settings)
    stream.sendall(b"" if settings.idle else b"GET / HT")
    assert everything(stream) == b""


def test_a_head_that_drips_has_a_deadline_of_its_own(talk: Talk) -> None:
    """Each piece arrives in time, but all of them together would take too long."""
    stream, dropped = talk(Application(), Settings(patience=0.2)), False
    with suppress(OSError):
        stream.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(1000):
            stream.sendall(b"A: b\r\n")
            dropped = bool(select.select([stream], [], [], 0.02)[0])
            if dropped:
                break
        assert dropped
    assert everything(stream) == b""


def test_a_body_may_take_longer_than_a_head(talk: Talk) -> None:
    stream = talk(Application(), Settings(patience=0.4))
    stream.sendall(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
    for _ in range(10):
        threading.Event().wait(0.06)
        stream.sendall(b"x")
    assert everything(stream).endswith(b"x" * 10)


def test_more_connections_than_there_may_be_wait() -> None:
    with listen("127.0.0.1", 0) as listener:
        threading.Thread(target=serve, args=(listener, Application(), Settings(connections=1)), daemon=True).start()
        first, second = (socket.create_connection(listener.getsockname(), 20) for _ in range(2))
        with second:
            with first:
                for stream in (second, first):
                    stream.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                assert everything(first).startswith(b"HTTP/1.1 200 ")
                second.setblocking(False)
                with pytest.raises(BlockingIOError):
                    second.recv(1)
            second.settimeout(20)
            assert everything(second).startswith(b"HTTP/1.1 200 ")


def test_it_listens_on_both_kinds_of_addresses() -> None:
    for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        with listen(host, 0) as listener:
            assert listener.getsockname()[0] == host


def test_idle_strangers_keep_nobody_out() -> None:
    """A new connection replaces the oldest connection without a request; connections that were admitted stay."""
    ask = b"GET / HTTP/1.1\r\n\r\n"
    with listen("127.0.0.1", 0) as listener, ExitStack() as stack:
        settings = Settings(connections=8, strangers=2, first=600.0)
        threading.Thread(target=serve, args=(listener, Application(), settings), daemon=True).start()
        known = stack.enter_context(socket.create_connection(listener.getsockname(), 20))
        known.sendall(ask)
        assert known.recv(65536).startswith(b"HTTP/1.1 200 ")
        idle = [stack.enter_context(socket.create_connection(listener.getsockname(), 20)) for _ in range(40)]
        known.sendall(ask)
        assert known.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert idle[0].recv(1) == b""
        new = stack.enter_context(socket.create_connection(listener.getsockname(), 20))
        new.sendall(ask)
        assert new.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
def test_a_stranger_has_less_time(talk: Talk, sent: bytes) -> None:
    stream = talk(Application(), Settings(first=0.05))
    stream.sendall(sent)
    assert everything(stream) == b""


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_every_address_is_one_of_ipv6_too() -> None:
    with listen("0.0.0.0", 0) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 5).close()
