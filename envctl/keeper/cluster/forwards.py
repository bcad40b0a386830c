"""The port forwards of an instance.

They are stored on disk for a later keeper. A forward refuses connections to a pod that is not seeded yet.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.forward import Forward, Target
from envctl.keeper.cluster.pod_watch import PodWatch
from envctl.keeper.cluster.presence import Presence
from envctl.keeper.helpers import Helper, Helpers
from envctl.keeper.process_marks import INSTANCE_LABEL

FILE = "forwards.json"
"""The file in the instance's folder that stores the forwards."""
AGAIN = 15.0
"""Seconds after which a failed seeding is tried again."""


class Forwards:
    """All port forwards of an instance, for any number of threads.

    Args:
        id: the instance's id.
        folder: the folder of the instance's state.
        reseed: the command that seeds a service again; the service's name is appended to it. Empty for none.
        env: variables that are added to the environment of that command.
        ended: called when the instance is found to be `gone`.
    """

    def __init__(
        self, id: str, folder: str, helpers: Helpers, reseed: Sequence[str] = (), env: Mapping[str, str] | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._id, self._path, self._helpers = id, os.path.join(folder, FILE), helpers
        self._reseed, self._env, self._say = list(reseed), {**(env or {})}, helpers.say
        self._ended = ended
        self._lock = threading.RLock()
        self._forwards: dict[str, Forward] = {}
        self._namespace = ""
        self._cluster: Cluster | None = None
        self._pods: PodWatch[Target] | None = None
        self._presence: Presence | None = None
        self._asked: set[tuple[str, str]] = set()

    @property
    def gone(self) -> bool:
        """Whether another machine has removed the instance."""
        return self._presence is not None and self._presence.gone

    def take_up(self) -> None:
        """Restore the forwards of an earlier keeper, as far as their ports are free. Do nothing if it had none."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                told = json.load(stream)
            cluster, namespace, wanted = told["cluster"], told["namespace"], told["forwards"]
        except (OSError, ValueError, KeyError, TypeError):
            return  # there is no such file, or another version of envctl wrote it
        with self._lock:
            self._connect(cluster, namespace)
            self._look_after(seen=True)
            for each in wanted:
                try:
                    self._set_one(each)
                except OSError as error:
                    self._say(f"port forward {each['name']}: {error}")

    def set(self, cluster: dict[str, Any], namespace: str, wanted: Sequence[Mapping[str, Any]], whole: bool = True) -> dict[str, Forward]:
        """Set the forwards and return all of them by name. A forward that exists with the same settings keeps its connections.

        Args:
            cluster: the API server (see api.py).
            wanted: the forwards, as `Forward` takes them.
            whole: whether all other forwards are closed.

        Raises:
            OSError: a forward cannot listen.
        """
        with self._lock:
            self._connect(cluster, namespace)
            if whole:
                self._look_after()
            names = {str(told["name"]) for told in wanted}
            for name in self._forwards.keys() - names if whole else ():
                self._forwards.pop(name).close()
            for told in wanted:
                self._set_one(told)
            self._keep()
            return dict(self._forwards)

    def _connect(self, cluster: dict[str, Any], namespace: str) -> None:
        if self._cluster and (self._cluster.told["server"], self._namespace) == (cluster["server"], namespace):
            if cluster != self._cluster.told:
                self._cluster.renew(cluster)
            return
        self.close()
        self._namespace, self._cluster = namespace, Cluster(cluster, self._helpers.run)
        self._pods = PodWatch(self._cluster, quote(namespace), f"{INSTANCE_LABEL}={self._id}", Target, self._changed)
        threading.Thread(target=self._pods.follow, name="pods", daemon=True).start()

    def _look_after(self, seen: bool = False) -> None:
        """Start to check that the instance still exists. It was just created, or an earlier keeper has already *seen* it."""
        assert self._cluster is not None
        assert self._pods is not None
        if self._presence is not None:
            self._presence.stop()
        pods = self._pods
        self._presence = Presence(self._cluster.fetch, quote(self._namespace), self._id, lambda: not pods.known, seen)
        threading.Thread(target=self._presence.follow, args=(self._ended,), name="presence", daemon=True).start()

    def _set_one(self, told: Mapping[str, Any]) -> None:
        assert self._cluster is not None
        assert self._pods is not None
        there = self._forwards.get(str(told["name"]))
        if there is not None and _same(there, told):
            there.needs_approval, there.gated = bool(told.get("needs_approval")), bool(told.get("gated"))
            there.approved = told.get("approved") or there.approved
            return
        if there is not None:
            there.close()
        self._forwards[str(told["name"])] = Forward(told, self._cluster, self._namespace, self._pods)

    def approve(self, name: str, data_id: str) -> bool:
        """Let a forward accept connections to the pod or container with this data; return whether there is such a forward."""
        with self._lock:
            forward = self._forwards.get(name)
            if forward is not None:
                forward.approved, forward.failure = data_id, ""
                self._keep()
        if forward is not None:
            self._check_data(forward)
        return forward is not None

    def shown(self) -> dict[str, Any]:
        """Return the state of each forward by name, as GET /v1/forwards shows it."""
        with self._lock:
            return {name: forward.shown for name, forward in self._forwards.items()}

    def close(self) -> None:
        """Close all forwards and stop watching the cluster."""
        with self._lock:
            for forward in self._forwards.values():
                forward.close()
            self._forwards.clear()
            if self._pods is not None:
                self._pods.stop()
            if self._presence is not None:
                self._presence.stop()

    def _keep(self) -> None:
        """Write the file with an atomic replacement. Only its user may read it, as it contains credentials."""
        beside = f"{self._path}.{os.getpid()}"
        cluster, told = self._cluster and self._cluster.told, [each.told for each in self._forwards.values()]
        content = {"cluster": cluster, "namespace": self._namespace, "forwards": told}
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(beside, self._path)

    def _changed(self, there: Sequence[Target]) -> None:
        """Handle new and changed pods, or with an empty list the end of a pod. Runs in the thread of the watch."""
        if not there and self._presence is not None:
            self._presence.doubt()
        with self._lock:
            forwards = list(self._forwards.values())
        for forward in forwards:
            forward.close_broken()
            self._check_data(forward)

    def _check_data(self, forward: Forward) -> None:
        pod = forward.best()
        if pod is None or not forward.needs_approval or forward.approved in (None, *pod.data_ids):
            return
        if pod.seeded and forward.approved_for_pod:
            self.approve(forward.name, pod.data_ids[0])  # another machine has seeded it
        elif pod.complete:
            self._make_anew(forward, pod.data_ids[-1])

    def _make_anew(self, forward: Forward, data_id: str) -> None:
        """Seed a server again that has lost its data, once for each loss. Until then its forward accepts no connections."""
        service = forward.name.partition("/")[0]
        if not self._reseed or (service, data_id) in self._asked:
            return
        self._asked.add((service, data_id))
        self._say(f"{service}: it was replaced and is being seeded again")
        ended = partial(self._seeded, forward, service, data_id)
        try:
            Helper(self._helpers, f"seeding of {service}", [*self._reseed, service], self._env, ended=ended)
        except OSError as error:
            forward.failure = f"it cannot be seeded again: {error}"

    def _seeded(self, forward: Forward, service: str, data_id: str, status: int | None) -> None:
        if status:
            forward.failure = f"it was replaced, and seeding it again ended with {status}; the keeper's log says why"
            timer = threading.Timer(AGAIN, self._seed_once_more, (forward, service, data_id))
            timer.daemon = True
            timer.start()

    def _seed_once_more(self, forward: Forward, service: str, data_id: str) -> None:
        self._asked.discard((service, data_id))
        if self._forwards.get(forward.name) is forward:
            self._check_data(forward)


def _same(there: Forward, told: Mapping[str, Any]) -> bool:
    return (there.selector, there.number) == (told["selector"], told["port"]) and told["listen"][1] in (0, there.port)
