"""A port forward: a local port that leads to the current pod of a service."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from envctl.keeper.cluster import pod_status
from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.connection import Connection, dial
from envctl.keeper.cluster.pod_watch import PodWatch
from envctl.keeper.cluster.protocol import Object, Refused
from envctl.keeper.cluster.websocket import WebSocket
from envctl.keeper.relay import accept, reset

PATIENCE, PAUSE = 15.0, 0.1
"""Seconds for which a failed connection to the API server is retried, and seconds between two attempts."""


class Target:
    """The facts about a pod that a forward needs. The whole JSON of the pod would take much more memory.

    Attributes:
        created: the time stamp of its creation.
        running: whether the service's own container runs and the pod is not being deleted.
        complete: whether all containers run.
        ready: whether all containers are ready.
        has_data: whether the pod needs no data or is seeded.
        seeded: whether the pod is marked as seeded.
        data_ids: see `pod_status.data_ids`.
    """

    def __init__(self, pod: Object) -> None:
        self.name, self.uid = str(pod["metadata"]["name"]), pod_status.uid(pod)
        self.labels = pod_status.labels(pod)
        self.created = str(pod["metadata"].get("creationTimestamp", ""))
        self.running = pod_status.is_running(pod) and pod_status.alive(pod) and not pod_status.has_ended(pod)
        self.complete = pod_status.all_running(pod)
        self.ready = pod_status.is_ready(pod)
        self.has_data, self.seeded = pod_status.has_data(pod), pod_status.is_seeded(pod)
        self.data_ids = pod_status.data_ids(pod)


class Forward:
    """A port forward that listens as soon as it is created.

    Args:
        told: {"name", "selector", "port", "listen": [host, port], "needs_approval": bool, "approved": data_id or null,
            "gated": bool}. With `needs_approval`, the forward accepts connections only to approved data. With `gated`, for an instance
            of another machine, it accepts none to a pod that is marked as not seeded.
        namespace: the namespace of the pods.
        pods: the pods of the instance.

    Attributes:
        number: the port of the pod.
        port: the local port.

    Raises:
        OSError: the forward cannot listen there.
    """

    def __init__(self, told: Mapping[str, Any], cluster: Cluster, namespace: str, pods: PodWatch[Target]) -> None:
        self.name, self.selector, self.number = str(told["name"]), str(told["selector"]), int(told["port"])
        self._labels = dict(part.partition("=")[::2] for part in self.selector.split(","))
        self.needs_approval, self.approved = bool(told.get("needs_approval")), told.get("approved")
        self.gated = bool(told.get("gated"))
        self.error = self.failure = ""
        """The error of the last connection, and the error of seeding the service again; empty without an error."""
        self._cluster, self._namespace, self._pods = cluster, namespace, pods
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._host = str(told["listen"][0])
        self._listening = socket.create_server((self._host, int(told["listen"][1])), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=accept, args=(self._listening, self._serve), name=self.name, daemon=True).start()

    @property
    def told(self) -> dict[str, Any]:
        """The argument with which this forward can be created again on the same port."""
        found = {"name": self.name, "selector": self.selector, "port": self.number, "listen": [self._host, self.port]}
        found |= {"gated": True} if self.gated else {}
        return found | ({"needs_approval": True, "approved": self.approved} if self.needs_approval else {})

    @property
    def shown(self) -> dict[str, Any]:
        """The state, as GET /v1/forwards shows it."""
        pod = self.best()
        state = "waiting" if pod is None else "ready" if self._open(pod) else "refused"
        error = self.failure or self.error or self._pods.error
        return {"port": self.port, "pod": pod.name if pod else None, "state": state, "error": error}

    def best(self) -> Target | None:
        """Return the running pod to connect to: a ready one if possible, and among equals the newest; None if no pod runs."""
        fit = [pod for pod in self._pods.known.values() if pod.running and self._labels.items() <= pod.labels.items()]
        return max(fit, key=lambda pod: (pod.ready, pod.created), default=None)

    @property
    def approved_for_pod(self) -> bool:
        """Whether the approved data lives as long as the pod. Data in a container may be lost while its pod is still marked as seeded."""
        return self.approved not in (None, pod_status.NO_DATA) and " " not in str(self.approved)

    def _open(self, pod: Target) -> bool:
        if self.needs_approval:
            return self.approved in pod.data_ids
        return not self.gated or pod.has_data

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._closed = True
        _wake(self._listening)
        self._listening.close()
        self.close_broken()

    def close_broken(self) -> None:
        """End connections to pods that are gone, or all connections after `close`. A pod that is being deleted may finish its work."""
        known = self._pods.known
        with self._lock:
            broken = [connection for connection in self._connections if self._closed or connection.uid not in known]
        for connection in broken:
            connection.break_off()

    def _serve(self, client: socket.socket) -> None:
        found = self._dialled()
        if found is None:
            reset(client)
            return
        server, pod = found
        connection = Connection(client, server, pod.uid)
        with self._lock:
            self._connections.add(connection)
        self.close_broken()  # the pod may have gone since the connection was opened
        try:
            self.error = connection.run()
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _dialled(self) -> tuple[WebSocket, Target] | None:
        """Connect to the best pod, and retry while that fails. Return None if there is no pod or no permission, or the time is up."""
        until = time.monotonic() + PATIENCE
        while (pod := self.best()) is not None and self._open(pod):
            try:
                return dial(self._cluster, self._namespace, pod.name, self.number), pod
            except (OSError, ValueError, HTTPException, Refused) as error:
                self.error = str(error)
                if time.monotonic() > until or (isinstance(error, Refused) and error.status == 403):
                    return None
                if isinstance(error, Refused) and error.status == 404:
                    self._pods.doubt()
            time.sleep(PAUSE)
        return None


def _wake(listening: socket.socket) -> None:
    """Wake the thread that waits in `accept`, which keeps the port open. Linux allows a shutdown; other systems need a connection."""
    try:
        listening.shutdown(socket.SHUT_RDWR)
    except OSError:
        with suppress(OSError):
            socket.create_connection(listening.getsockname(), 1).close()
