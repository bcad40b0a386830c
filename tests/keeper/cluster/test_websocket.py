"""Tests of the WebSocket frames (RFC 6455) that port forwards use."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.websocket import BUFFER, CLOSE, FINAL, PING, PONG, Ended, WebSocket, open_websocket


def frame(payload: bytes, first: int = FINAL | 2, mask: bytes = b"") -> bytes:
    size, masked = len(payload), 0x80 if mask else 0
    head = bytes((first, masked | size)) if size < 126 else bytes((first, masked | 126)) + size.to_bytes(2) if size < 65536 else b""
    head = head or bytes((first, masked | 127)) + size.to_bytes(8)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else head + payload


def received(data: bytes, count: int, cut: int = 0) -> list[bytes]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=sent, args=(theirs, data[:cut], data[cut:]), daemon=True)
        sender.start()
        opened = WebSocket(ours)
        try:
            return [opened.receive() for _ in range(count)]
        finally:
            sender.join()  # the sender must end before its socket is closed


def sent(stream: socket.socket, *pieces: bytes) -> None:
    for piece in pieces:
        stream.sendall(piece)
    stream.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER])
def test_messages_of_every_size_both_ways(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    assert received(frame(payload) + frame(b"next"), 2) == [payload, b"next"]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=WebSocket(ours).send, args=(payload,), daemon=True)
        sender.start()
        assert WebSocket(theirs).receive() == payload
        sender.join()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(0, 600))
def test_however_it_is_cut(messages: list[bytes], early: int) -> None:
    data = b"".join(map(frame, messages))
    assert received(data, len(messages), early) == messages


def test_fragments_are_put_together() -> None:
    data = frame(b"one ", 2) + frame(b"two ", 0) + frame(b"three", FINAL)
    assert received(data, 1) == [b"one two three"]


def test_a_masked_frame_is_unmasked() -> None:
    assert received(frame(b"hidden", mask=b"\1\2\3\4"), 1) == [b"hidden"]


def test_a_ping_is_answered_in_between() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame(b"half ", 2) + frame(b"are you there", FINAL | PING) + frame(b"whole", FINAL))
        assert WebSocket(ours).receive() == b"half whole"
        answer = theirs.recv(100)
        assert answer[0] == FINAL | PONG
        assert answer.endswith(b"are you there")


def test_a_ping_does_not_wait_for_what_is_being_sent_nor_cut_it() -> None:
    """The other side reads only after this side has read, so a ping must not wait until sending is done."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        opened, long = WebSocket(ours), b"x" * (4 << 20)
        sender = threading.Thread(target=opened.send, args=(long,), daemon=True)
        sender.start()
        for _ in range(50):
            theirs.sendall(frame(b"are you there", FINAL | PING) + frame(b"data"))
            assert opened.receive() == b"data"
        other = WebSocket(theirs)
        assert other._frame() == (True, 2, long)
        assert other._frame() == (True, PONG, b"are you there")
        sender.join()


def test_what_a_client_sends_is_masked() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        WebSocket(ours).send(b"x")
        assert theirs.recv(100) == bytes((FINAL | 2, 0x80 | 1)) + b"\0\0\0\0x"


def test_its_end_is_an_end() -> None:
    with pytest.raises(Ended, match="bye"):
        received(frame(b"\x03\xe8bye", FINAL | CLOSE), 1)
    with pytest.raises(Ended):
        received(frame(b"whole")[:-1], 1)


def opened(answer: bytes) -> WebSocket:
    ours, theirs = socket.socketpair()
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    try:
        return open_websocket(ours, "h", "/p", [], "v4")
    finally:
        ours.close()
        theirs.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope", "nope"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
        (b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: wrong\r\nSec-WebSocket-Protocol: v4\r\n\r\n", "not a WebSocket"),
        (b"", "closed"),
        (b"HTTP/1.1", "closed"),
    ],
)
def test_a_server_that_is_unwilling(answer: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        opened(answer)
