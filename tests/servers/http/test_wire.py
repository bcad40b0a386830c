"""Tests of parsing requests and writing responses."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.servers.http.message import Request, Response
from envctl.servers.http.wire import Limits, Reader, Refused, encode, keeps_alive


def read_from(reader: Reader) -> Request | None:
    request = reader.head()
    if request is not None:
        request.body = reader.body(request)
    return request


def read(content: bytes, limits: Limits = Limits()) -> Request | None:
    return read_from(Reader(io.BytesIO(content), "127.0.0.1", limits))


@given(st.lists(st.binary(min_size=1)), st.sampled_from(["", ";name=value", ";a;b"]))
def test_chunks_are_put_together(chunks: list[bytes], extension: str) -> None:
    encoded = b"".join(f"{len(chunk):x}{extension}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    stream = io.BytesIO(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded + b"0\r\nTrailer: x\r\n\r\nGET /next HTTP/1.1\r\n\r\n"
    )

    reader = Reader(stream)
    first, second = read_from(reader), read_from(reader)

    assert first is not None
    assert second is not None
    assert (first.body, second.url) == (b"".join(chunks), "/next")


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/a?b", "/a?b"),
        ("http://host:1/a?b", "/a?b"),
        ("http://host", "/"),
        ("http://host?b", "/?b"),
        ("/a?u=http://x/y", "/a?u=http://x/y"),
        ("*", "*"),
        ("/a#b", "/a"),
    ],
)
def test_the_url_is_what_stands_after_the_host(target: str, url: str) -> None:
    request = read(f"GET {target} HTTP/1.1\r\n\r\n".encode())

    assert request is not None
    assert request.url == url


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 600 + b"\r\n", 431),
    ],
)
def test_refuses_what_is_no_request(content: bytes, status: int) -> None:
    with pytest.raises(Refused) as caught:
        read(content)

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /" + b"a" * 50 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\nab\r\n0\r\n\r\n", 413),
    ],
)
def test_limits_may_be_narrower(content: bytes, status: int) -> None:
    assert read(content) is not None
    with pytest.raises(Refused) as caught:
        read(content, Limits(line=40, headers=1, body=3))

    assert caught.value.status == status


@pytest.mark.parametrize("content", [b"", b"\r\n", b"GET / HT"])
def test_a_connection_may_end_between_requests(content: bytes) -> None:
    assert read(content) is None


@pytest.mark.parametrize(
    "content",
    [b"GET / HTTP/1.1\r\nA: b\r\n", b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"],
)
def test_a_request_that_is_cut_off_is_none(content: bytes) -> None:
    with pytest.raises(ConnectionAbortedError):
        read(content)


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        ("HTTP/1.1", "", True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "TE, Close", False),
        ("HTTP/1.0", "", False),
        ("HTTP/1.0", "Keep-Alive", True),
    ],
)
def test_connections_stay_open_as_the_client_expects(version: str, connection: str, keeps: bool) -> None:
    assert keeps_alive(Request("GET", "/", (("Connection", connection),), version=version)) is keeps


@given(st.binary(), st.sampled_from([200, 404, 204, 304]), st.sampled_from(["GET", "HEAD"]))
def test_the_length_is_that_of_the_body(body: bytes, status: int, method: str) -> None:
    response = Response(status, headers=(("Content-Length", "7"), ("Transfer-Encoding", "chunked")), body=body)

    head, _, sent = encode(response, method, keep=True).partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith((b"content-length", b"transfer-encoding"))]

    assert sent == (body if status in (200, 404) and method == "GET" else b"")
    if status in (204, 304):
        assert lengths == []
    else:
        announced = 7 if method == "HEAD" and not body else len(body)
        assert lengths == [f"content-length: {announced}".encode()]
