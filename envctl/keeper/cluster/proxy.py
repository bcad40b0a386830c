"""Connect to a server through a proxy: with HTTP's CONNECT (RFC 9110, 9.3.6), or SOCKS 5 (RFC 1928 and 1929), which `ssh -D` uses."""

from __future__ import annotations

import base64
import socket
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from envctl.keeper.cluster.protocol import Refused

PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
"""The supported schemes of a proxy's URL, with their default ports."""
FAILURES = {
    2: "its rules do not allow it", 3: "the network cannot be reached", 4: "the host cannot be reached", 5: "the connection is refused",
    6: "it took too long",
}  # fmt: skip
NO_LOGIN, LOGIN, NONE_OF_THESE = 0, 2, 255
"""The authentication methods of SOCKS 5."""


def through(proxy: str, host: str, port: int, patience: float) -> socket.socket:
    """Open a connection to *host* through *proxy*.

    Args:
        proxy: the URL of the proxy, with a user name and a password if needed.
        patience: seconds to wait for the connection and for each answer of the proxy.

    Raises:
        OSError: the connection to the proxy fails.
        Refused: the proxy refuses the connection (502).
    """
    parts = urlsplit(proxy)
    stream = socket.create_connection((parts.hostname or "", parts.port or PORTS[parts.scheme]), patience)
    try:
        (_connect if parts.scheme == "http" else _socks)(stream, parts, host, port)
    except BaseException:
        stream.close()
        raise
    return stream


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header for basic authentication."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _connect(stream: socket.socket, proxy: SplitResult, host: str, port: int) -> None:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    user, password = _login(proxy)
    told = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    told += [f"Proxy-Authorization: {basic(user, password)}"] if user and password else []
    stream.sendall("\r\n".join([*told, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (piece := stream.recv(1)):
        answer += piece
    first = answer.partition(b"\r\n")[0]
    if b" 200" not in first:
        raise _refused(proxy, first.decode(errors="replace"))


def _login(proxy: SplitResult) -> tuple[str, str]:
    return unquote(proxy.username or ""), unquote(proxy.password or "")


def _refused(proxy: SplitResult, words: str) -> Refused:
    return Refused(502, f"the proxy {proxy.hostname} refuses: {words}")


def _socks(stream: socket.socket, proxy: SplitResult, host: str, port: int) -> None:
    """Ask a SOCKS proxy for a connection. The proxy resolves the host name, as it does for programs in Go."""
    methods = bytes([NO_LOGIN, LOGIN] if proxy.username else [NO_LOGIN])
    stream.sendall(bytes([5, len(methods)]) + methods)
    version, method = _exactly(stream, 2)
    if version != 5 or method not in methods:
        words = "it needs a login that the proxy's URL does not have" if method == NONE_OF_THESE else "it does not speak SOCKS 5"
        raise _refused(proxy, words)
    if method == LOGIN:
        _log_in(stream, proxy)
    stream.sendall(bytes([5, 1, 0]) + _address(host) + port.to_bytes(2))
    _, failure, _, kind = _exactly(stream, 4)
    if failure:
        raise _refused(proxy, FAILURES.get(failure, f"SOCKS error {failure}"))
    _exactly(stream, {1: 4, 4: 16}.get(kind) or _exactly(stream, 1)[0])
    _exactly(stream, 2)


def _log_in(stream: socket.socket, proxy: SplitResult) -> None:
    user, password = (text.encode()[:255] for text in _login(proxy))
    stream.sendall(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
    if _exactly(stream, 2)[1]:
        raise _refused(proxy, "it does not accept this login")


def _address(host: str) -> bytes:
    for kind, family in ((1, socket.AF_INET), (4, socket.AF_INET6)):
        with suppress(OSError):
            return bytes([kind]) + socket.inet_pton(family, host)
    name = host.encode("idna")
    return bytes([3, len(name)]) + name


def _exactly(stream: socket.socket, count: int) -> bytes:
    """Return exactly *count* bytes.

    Raises:
        ConnectionError: the proxy has closed the connection before.
    """
    found = b""
    while len(found) < count:
        piece = stream.recv(count - len(found))
        if not piece:
            raise ConnectionError("the proxy closed the connection")
        found += piece
    return found
