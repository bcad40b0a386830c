"""One connection through a port forward: copy bytes in both directions, at the speed of the slower side.

The protocol is `v4.channel.k8s.io`: the first byte of a message is its channel, 0 for data and 1 for the text of an error. The first
message of each channel contains the port's number. The protocol cannot pass on a client's half-close (kubectl cannot either): the
client still receives the response, and the connection ends when the server closes it. A client that has closed its connection
completely looks the same at first. Then the connection to the server has to end, because a server that serves one client at a time
would otherwise wait for it.
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
"""Seconds to wait for the API server to open the port forward."""
POLL_SECONDS, SILENCE = 0.25, 600.0
"""Seconds between two checks whether a client that has shut down its sending side has left; and seconds of silence from the server
after which the client counts as gone on systems that cannot check this."""


def dial(cluster: Cluster, namespace: str, pod: str, port: int) -> WebSocket:
    """Open a WebSocket to a port of a pod.

    Raises:
        OSError: the API server does not answer.
        Refused: the API server refuses the port forward.
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
    """A client's connection and the WebSocket to the pod.

    Args:
        uid: the uid of the pod.
    """

    def __init__(self, client: socket.socket, server: WebSocket, uid: str) -> None:
        self.client, self.server, self.uid = client, server, uid
        self._over, self._heard = threading.Event(), time.monotonic()
        self._broken = False
        self._writable = select.poll()
        self._writable.register(client, select.POLLOUT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> str:
        """Copy bytes until the connection ends; return the reason if it broke, else ""."""
        up = threading.Thread(target=self._up, daemon=True)
        up.start()
        broken = ""
        try:
            self._down()
        except (Ended, OSError) as error:
            if not getattr(error, "orderly", False):  # the client may have received only a part of the response
                _unfinished(self.client)
                broken = str(error) if isinstance(error, Ended) else ""
        self._over.set()
        self.server.end()
        with suppress(OSError):
            self.client.shutdown(socket.SHUT_RD)  # wakes the other thread and sends nothing to the client
        up.join()
        self.server.close()
        _close(self.client)
        return broken

    def break_off(self) -> None:
        """End the connection from any thread, so that the client sees a reset. `run` then closes both sides."""
        self._broken = True
        _unfinished(self.client)
        self.server.end()

    def _up(self) -> None:
        buffer = bytearray(CHUNK + 1)  # one byte for the channel in front of the data
        view = memoryview(buffer)
        try:
            while read := self.client.recv_into(view[1:]):
                if not self._sent(bytes(view[: read + 1])):
                    return
        except OSError:  # a client that resets the connection does not read the response
            self.break_off()
            return
        self._after_client()

    def _sent(self, message: bytes) -> bool:
        """Send a message and return whether the server accepted it. If not, the other thread still passes on what the server has sent."""
        try:
            self.server.send(message)
        except OSError:
            return False
        return True

    def _after_client(self) -> None:
        """Wait after the client has stopped sending: it may still read the response. End the connection if the client has left."""
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
        """Write data to the client, and check for `break_off` at intervals while the client does not read.

        Only a shutdown for writing could wake a blocked thread, and the client would take that for an orderly end.
        """
        while left:
            try:
                left = left[self.client.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._writable.poll(1000 * POLL_SECONDS)
                if self._broken:
                    raise Ended("") from None


def has_left(client: socket.socket) -> bool:
    """Return whether a local client has closed its socket completely; False if the system cannot tell (only Linux can)."""
    try:
        ours, theirs = _hex(client.getsockname()), _hex(client.getpeername())
    except OSError:  # the connection was reset
        return True
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:  # read line by line: the table may be large, and many threads read it
            inode = next((row[9] for row in map(str.split, table) if row[1:3] == [theirs, ours]), "0")
    except OSError:
        return False
    return inode == "0"


def _hex(address: tuple[str, int]) -> str:
    """Return an IPv4 address and a port as /proc/net/tcp shows them; the address has this machine's byte order."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"


def _unfinished(client: socket.socket) -> None:
    """Prepare the client's connection so that closing it sends a reset and the client does not take the end for an orderly one."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.shutdown(socket.SHUT_RD)


def _close(client: socket.socket) -> None:
    with suppress(OSError):
        if not client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            client.shutdown(socket.SHUT_RDWR)
    client.close()
