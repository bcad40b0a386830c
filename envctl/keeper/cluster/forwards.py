"""All forwards of an instance: kept on disk for a keeper that is started anew, and closed to a pod whose data is not there yet."""

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
AGAIN = 15.0
"""Seconds after which what failed is tried again."""


class Forwards:
    """
    Args:
        folder: of the instance's state.
        reseed: the command that makes the data of a service anew; its name comes after it.
        env: of that command.
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
        """Whether somebody else has removed the instance."""
        return self._presence is not None and self._presence.gone

    def take_up(self) -> None:
        """Those that an earlier keeper had, as far as their ports are free; nothing where it had none."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                told = json.load(stream)
            cluster, namespace, wanted = told["cluster"], told["namespace"], told["forwards"]
        except (OSError, ValueError, KeyError, TypeError):
            return  # another version's
        with self._lock:
            self._connect(cluster, namespace)
            self._look_after(seen=True)
            for each in wanted:
                try:
                    self._set_one(each)
                except OSError as error:
                    self._say(f"port forward {each['name']}: {error}")

    def set(self, cluster: dict[str, Any], namespace: str, wanted: Sequence[Mapping[str, Any]], whole: bool = True) -> dict[str, Forward]:
        """These, and no others where they are the *whole*; those that are there already stay untouched.

        Raises:
            OSError: one cannot listen.
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
        """The instance that is there now: a command has just made it, or an earlier keeper has *seen* it."""
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
        """Whether there is such a forward: from now on it leads to the pod, or the container, that has this data."""
        with self._lock:
            forward = self._forwards.get(name)
            if forward is not None:
                forward.approved, forward.failure = data_id, ""
                self._keep()
        if forward is not None:
            self._check_data(forward)
        return forward is not None

    def shown(self) -> dict[str, Any]:
        with self._lock:
            return {name: forward.shown for name, forward in self._forwards.items()}

    def close(self) -> None:
        with self._lock:
            for forward in self._forwards.values():
                forward.close()
            self._forwards.clear()
            if self._pods is not None:
                self._pods.stop()
            if self._presence is not None:
                self._presence.stop()

    def _keep(self) -> None:
        """Replaced at once, readable by its owner alone: there are credentials in it."""
        beside = f"{self._path}.{os.getpid()}"
        cluster, told = self._cluster and self._cluster.told, [each.told for each in self._forwards.values()]
        content = {"cluster": cluster, "namespace": self._namespace, "forwards": told}
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(beside, self._path)

    def _changed(self, there: Sequence[Target]) -> None:
        """In the thread of the watch, which has seen these, or that one has gone."""
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
            self.approve(forward.name, pod.data_ids[0])  # by another machine
        elif pod.complete:
            self._make_anew(forward, pod.data_ids[-1])

    def _make_anew(self, forward: Forward, data_id: str) -> None:
        """A server that lost its data gets it again, once, before its endpoint answers."""
        service = forward.name.partition("/")[0]
        if not self._reseed or (service, data_id) in self._asked:
            return
        self._asked.add((service, data_id))
        self._say(f"{service}: it was replaced; it is seeded again")
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
