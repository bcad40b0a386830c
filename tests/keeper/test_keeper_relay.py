from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.keeper.keepers import Keeper, memory_kb, until

SIZE = 20 * 1024 * 1024


@contextmanager
def server(talk: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[int]:
    """Yield the port of a server that handles each connection with *talk* in a thread."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:

        def serve() -> None:
            while True:
                try:
                    stream, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(stream,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def relay(one: Keeper, port: int, host: str = "127.0.0.1") -> int:
    status, answer = one.ask("POST", "/v1/relays", {"listen": ["127.0.0.1", 0], "to": [host, port]})
    assert status == 201, answer
    return int(answer["port"])


def received(stream: socket.socket) -> bytes:
    parts = []
    while data := stream.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def echo_at_the_end(stream: socket.socket) -> None:
    """Send back the reversed input after the client has closed its sending side."""
    with stream:
        stream.sendall(received(stream)[::-1])


def test_much_in_both_directions_with_a_half_close(one: Keeper) -> None:
    data = os.urandom(SIZE)
    with server(echo_at_the_end) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
        assert received(stream) == data[::-1]
    assert memory_kb(one.pid) < 30_000


def test_both_directions_at_once(one: Keeper) -> None:
    def send(stream: socket.socket, letter: bytes) -> None:
        stream.sendall(letter * SIZE)
        stream.shutdown(socket.SHUT_WR)

    def talk(stream: socket.socket) -> None:
        with stream:
            sender = threading.Thread(target=send, args=(stream, b"b"))
            sender.start()
            found.append(received(stream))
            sender.join()

    found: list[bytes] = []
    with server(talk) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        sender = threading.Thread(target=send, args=(stream, b"a"))
        sender.start()
        assert received(stream) == b"b" * SIZE
        sender.join()
        until(lambda: found == [b"a" * SIZE])


def test_the_servers_half_close_reaches_the_client(one: Keeper) -> None:
    def talk(stream: socket.socket) -> None:
        with stream:
            stream.sendall(b"greeting")
            stream.shutdown(socket.SHUT_WR)
            found.append(received(stream))

    found: list[bytes] = []
    with server(talk) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        assert received(stream) == b"greeting"
        stream.sendall(b"still here")
        stream.shutdown(socket.SHUT_WR)
        until(lambda: found == [b"still here"])


def sent_until_held_back(stream: socket.socket) -> int:
    sent = 0
    with suppress(TimeoutError):
        while sent < 4 * SIZE:
            sent += stream.send(b"x" * (1 << 16))
    return sent


def test_who_does_not_read_holds_the_writer_back(one: Keeper) -> None:
    go = threading.Event()

    def talk(stream: socket.socket) -> None:
        with stream:
            go.wait(20)
            found.append(len(received(stream)))

    found: list[int] = []
    with server(talk) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        stream.settimeout(1)
        sent = sent_until_held_back(stream)
        assert sent < 4 * SIZE
        assert memory_kb(one.pid) < 30_000
        go.set()
        stream.settimeout(20)
        stream.shutdown(socket.SHUT_WR)
        until(lambda: found == [sent])


def test_a_reset_is_passed_on(one: Keeper) -> None:
    def talk(stream: socket.socket) -> None:
        stream.recv(10)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()

    with server(talk) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        stream.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            stream.recv(10)


def test_a_server_that_is_not_there_resets(one: Keeper) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = relay(one, unused.getsockname()[1])
        with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), 20) as stream:
            stream.recv(10)


@pytest.mark.parametrize(("host", "listens"), [("::1", "::1"), ("localhost", "127.0.0.1")])
def test_many_connections_to_names_and_other_families(one: Keeper, host: str, listens: str) -> None:
    with server(echo_at_the_end, listens) as port, ExitStack() as stack:
        through = relay(one, port, host)
        streams = [stack.enter_context(socket.create_connection(("127.0.0.1", through), 20)) for _ in range(30)]
        for number, stream in enumerate(streams):
            stream.sendall(b"%03d" % number)
        for number, stream in reversed(list(enumerate(streams))):
            stream.shutdown(socket.SHUT_WR)
            assert received(stream) == (b"%03d" % number)[::-1]
            stream.close()
        descriptors = f"/proc/{one.pid}/fd"
        until(lambda: len(os.listdir(descriptors)) < 30)


def test_a_port_that_is_taken(one: Keeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, answer = one.ask("POST", "/v1/relays", {"listen": list(taken.getsockname()), "to": ["127.0.0.1", 1]})
        assert status == 422
        assert "Address already in use" in answer["error"]
    assert one.ask("POST", "/v1/relays", {"listen": ["127.0.0.1", 99999], "to": ["127.0.0.1", 1]})[0] == 422


def test_a_relay_that_goes_lets_others_listen_there_and_its_connections_stay(one: Keeper) -> None:
    def echo(stream: socket.socket) -> None:
        with stream:
            while data := stream.recv(1):
                stream.sendall(data)

    with server(echo) as port:
        through = relay(one, port)
        with socket.create_connection(("127.0.0.1", through), 20) as stream:
            stream.sendall(b"x")
            assert stream.recv(1) == b"x"
            for _ in range(2):
                assert one.ask("DELETE", "/v1/relays", {"listen": ["127.0.0.1", through]})[0] == 200
            socket.create_server(("0.0.0.0", through)).close()
            stream.sendall(b"y")
            assert stream.recv(1) == b"y"


def test_it_ends_with_the_keeper(one: Keeper) -> None:
    with server(echo_at_the_end) as port:
        through = relay(one, port)
        with socket.create_connection(("127.0.0.1", through), 20) as stream:
            stream.sendall(b"x")
            one.process.terminate()
            one.process.wait(10)
            with suppress(ConnectionResetError):
                assert stream.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", through), 5)


def test_an_idle_relay_costs_nothing(one: Keeper) -> None:
    from tests.keeper.keepers import cpu_ticks

    with server(echo_at_the_end) as port, socket.create_connection(("127.0.0.1", relay(one, port)), 20) as stream:
        address = stream.getpeername()
        stream.sendall(b"x")
        stream.shutdown(socket.SHUT_WR)
        assert received(stream) == b"x"
        with socket.create_connection(address, 20) as waiting:
            waiting.sendall(b"y")
            before = cpu_ticks(one.pid)
            time.sleep(1)
            assert cpu_ticks(one.pid) - before <= 1
