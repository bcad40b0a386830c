"""One connection through a port forward: bytes both ways, blocking, so that each side waits for the other.

The protocol is `v4.channel.k8s.io`: the first byte of a message is its channel, 0 for data and 1 for an error's text; both begin with
the port's number. A client's half-close cannot be passed on (kubectl cannot either): the answer is still handed over, and the
connection ends with the server. A client that has closed for good looks the same, but must let go of the server: one that serves
one client at a time would wait for it.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.websocket import Ended, WebSocket, open_websocket

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
CHUNK = 64 * 1024
OPENING = 15.0
POLL_SECONDS, SILENCE = 0.25, 600.0
"""Seconds between two looks at a client that has shut down its side; and of silence from the server after which it is taken for gone
where the system does not say whether it is."""


def dial(cluster: Cluster, namespace: str, pod: str, port: int) -> WebSocket:
    """
    Raises:
        OSError, Refused: the API server does not answer, or refuses.
    """
    stream = cluster.connect()
    try:
        stream.settimeout(OPENING)
        path = f"{cluster.base}/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
        opened = open_websocket(stream, cluster.authority, path, cluster.headers(), PROTOCOL)
        cluster.remember(stream)
    except BaseException as error:
        stream.close()
        if isinstance(error, Refused) and error.status == 401:
            cluster.forget_credentials()
        raise
    return opened


class Connection:
    """A client's connection and its WebSocket."""

    def __init__(self, client: socket.socket, server: WebSocket, uid: str) -> None:
        self.client, self.server, self.uid = client, server, uid
        self._over, self._heard = threading.Event(), time.monotonic()
        self._broken = False
        self._writable = select.poll()
        self._writable.register(client, select.POLLOUT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> str:
        """Carries bytes until the end; why it broke, if it did."""
        up = threading.Thread(target=self._up, daemon=True)
        up.start()
        broken = ""
        try:
            self._down()
        except (Ended, OSError) as error:
            if not getattr(error, "orderly", False):  # what has come may be a part of the answer
                _unfinished(self.client)
                broken = str(error) if isinstance(error, Ended) else ""
        self._over.set()
        self.server.end()
        with suppress(OSError):
            self.client.shutdown(socket.SHUT_RD)  # it wakes the other thread, and sends nothing
        up.join()
        self.server.close()
        _close(self.client)
        return broken

    def break_off(self) -> None:
        """Nobody should wait for what does not come; `run` closes both."""
        self._broken = True
        _unfinished(self.client)
        self.server.end()

    def _up(self) -> None:
        buffer = bytearray(CHUNK + 1)  # the channel before the data
        view = memoryview(buffer)
        try:
            while read := self.client.recv_into(view[1:]):
                if not self._sent(bytes(view[: read + 1])):
                    return
        except OSError:  # a client that breaks off wants no answer
            self.break_off()
            return
        self._after_client()

    def _sent(self, message: bytes) -> bool:
        """False once the server takes nothing more; what it has said before is still handed over."""
        try:
            self.server.send(message)
        except OSError:
            return False
        return True

    def _after_client(self) -> None:
        """It sends nothing more; it may still want to hear the answer."""
        while not self._over.is_set():
            if has_left(self.client) or (sys.platform != "linux" and time.monotonic() - self._heard > SILENCE):
                self.break_off()
                return
            self._over.wait(POLL_SECONDS)

    def _down(self) -> None:
        opening = {DATA, ERROR}
        while True:
            message = self.server.receive()
            self._heard = time.monotonic()
            channel = message[0] if message else DATA
            if channel in opening:
                opening.discard(channel)  # the port's number
            elif channel == ERROR:
                raise Ended(message[1:].decode(errors="replace"))
            elif channel == DATA:
                self._hand_over(memoryview(message)[1:])

    def _hand_over(self, left: memoryview) -> None:
        """Looks up now and then: only the end of writing, which is an orderly one, would wake who waits for a client that does not read."""
        while left:
            try:
                left = left[self.client.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._writable.poll(1000 * POLL_SECONDS)
                if self._broken:
                    raise Ended("") from None


def has_left(client: socket.socket) -> bool:
    """Whether nobody holds the other end any more; False where the system does not say (only Linux does)."""
    try:
        ours, theirs = _hex(client.getsockname()), _hex(client.getpeername())
    except OSError:  # it was reset
        return True
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:  # never as a whole: many ask at once
            inode = next((row[9] for row in map(str.split, table) if row[1:3] == [theirs, ours]), "0")
    except OSError:
        return False
    return inode == "0"


def _hex(address: tuple[str, int]) -> str:
    """As the kernel prints it: the address as a number of this machine, the port."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"


def _unfinished(client: socket.socket) -> None:
    """Closing it will reset it: no orderly end, which a shutdown of the sending side would be."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.shutdown(socket.SHUT_RD)


def _close(client: socket.socket) -> None:
    with suppress(OSError):
        if not client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            client.shutdown(socket.SHUT_RDWR)
    client.close()
