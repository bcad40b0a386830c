"""One endpoint: a local port that leads to whichever pod is behind a service now."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.connection import Connection, dial, reset
from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.targets import Target, Targets
from envctl.keeper.cluster.websocket import WebSocket

PATIENCE, PAUSE = 5.0, 0.1
"""Seconds for which an API server that hiccups is asked again, and between two attempts."""


def labels_of(selector: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in selector.split(","))


class Forward:
    """Listens from the moment it is made.

    Args:
        told: {"name", "selector", "port", "listen": [host, port], "gate": bool, "approved": data_id or null}

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, told: Mapping[str, Any], cluster: Cluster, namespace: str, targets: Targets) -> None:
        self.name, self.selector, self.number = str(told["name"]), labels_of(told["selector"]), int(told["port"])
        self.gate, self.approved = bool(told.get("gate")), told.get("approved")
        self.error = self.failure = ""
        """Of the last connection; of making its data anew."""
        self.cluster, self.namespace, self.targets = cluster, namespace, targets
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._host = str(told["listen"][0])
        self._listening = socket.create_server((self._host, int(told["listen"][1])), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name=self.name, daemon=True).start()

    @property
    def told(self) -> dict[str, Any]:
        selector = ",".join(f"{key}={value}" for key, value in self.selector.items())
        found = {"name": self.name, "selector": selector, "port": self.number, "listen": [self._host, self.port]}
        return found | ({"gate": True, "approved": self.approved} if self.gate else {})

    @property
    def shown(self) -> dict[str, Any]:
        pod = self.targets.best(self.selector)
        state = "waiting" if pod is None else "ready" if self._open(pod) else "refused"
        return {
            "port": self.port,
            "pod": pod.name if pod else None,
            "state": state,
            "error": self.failure or self.error or self.targets.error,
        }

    def _open(self, pod: Target) -> bool:
        return not self.gate or self.approved in pod.data_ids

    def target(self) -> Target | None:
        """The pod to lead to; none where none runs, or its data is not there yet."""
        pod = self.targets.best(self.selector)
        return pod if pod is not None and self._open(pod) else None

    def close(self) -> None:
        self._closed = True
        _wake(self._listening)
        self._listening.close()
        self._break(lambda connection: True)

    def look(self) -> None:
        """Connections to pods that are gone are broken off."""
        self._break(lambda connection: not self.targets.there(connection.uid))

    def _break(self, which: Any) -> None:
        with self._lock:
            broken = [connection for connection in self._connections if which(connection)]
        for connection in broken:
            connection.break_off()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
            except OSError:
                if not self._closed:
                    time.sleep(PAUSE)  # no descriptors for now
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            except RuntimeError:  # no threads for now
                reset(client)

    def _serve(self, client: socket.socket) -> None:
        found = self._dialled()
        if found is None:
            reset(client)
            return
        server, pod = found
        connection = Connection(client, server, pod.uid)
        with self._lock:
            self._connections.add(connection)
        if self._closed or not self.targets.there(pod.uid):  # since it was dialled
            connection.break_off()
        try:
            self.error = connection.run()
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _dialled(self) -> tuple[WebSocket, Target] | None:
        """Tried again while the pod is there and the API server is not."""
        until = time.monotonic() + PATIENCE
        while (pod := self.target()) is not None:
            try:
                return dial(self.cluster, self.namespace, pod.name, self.number), pod
            except (OSError, ValueError, Refused) as error:
                self.error = str(error)
                if time.monotonic() > until or (isinstance(error, Refused) and error.status == 403):
                    return None
                if isinstance(error, Refused) and error.status == 404:
                    self.targets.doubt()
            time.sleep(PAUSE)
        return None


def _wake(listening: socket.socket) -> None:
    """Whoever waits in `accept` keeps the port. Linux takes a shutdown; elsewhere a connection does it."""
    try:
        listening.shutdown(socket.SHUT_RDWR)
    except OSError:
        with suppress(OSError):
            socket.create_connection(listening.getsockname(), 1).close()
