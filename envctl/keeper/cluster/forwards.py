"""All forwards of an instance: kept on disk for a keeper that is started anew, and closed to a pod whose data is not there yet."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.forward import Forward
from envctl.keeper.cluster.pods import Pods

FILE = "forwards.json"
INSTANCE = "envctl.instance"
AGAIN = 15.0
"""Seconds after which what failed is tried again."""


class Forwards:
    """
    Args:
        folder: of the instance's state.
        reseed: the command that makes the data of a service anew; its name comes after it.
        env: of that command.
        say: for the log.
    """

    def __init__(self, id: str, folder: str, reseed: Sequence[str], env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._id, self._path, self._reseed, self._env, self._say = id, os.path.join(folder, FILE), list(reseed), dict(env), say
        self._lock = threading.RLock()
        self._forwards: dict[str, Forward] = {}
        self._told: dict[str, Any] = {}
        self._namespace = ""
        self._cluster: Cluster | None = None
        self._pods: Pods | None = None
        self._asked: set[tuple[str, str]] = set()
        self._seeding: list[subprocess.Popen[bytes]] = []

    def own(self) -> list[int]:
        """Processes of ours, which somebody waits for."""
        return [process.pid for process in list(self._seeding)]

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
            names = {str(told["name"]) for told in wanted}
            for name in self._forwards.keys() - names if whole else ():
                self._forwards.pop(name).close()
            for told in wanted:
                self._set_one(told)
            self._keep()
            return dict(self._forwards)

    def _connect(self, cluster: dict[str, Any], namespace: str) -> None:
        if self._cluster is not None and (cluster["server"], namespace) == (self._told["server"], self._namespace):
            if cluster != self._told:
                self._told = cluster
                self._cluster.renew(cluster)
            return
        self.close()
        self._told, self._namespace, self._cluster = cluster, namespace, Cluster(cluster)
        self._pods = Pods(self._cluster, namespace, f"{INSTANCE}={self._id}", self._changed)

    def _set_one(self, told: Mapping[str, Any]) -> None:
        assert self._cluster is not None
        assert self._pods is not None
        there = self._forwards.get(str(told["name"]))
        if there is not None and self._same(there, told):
            there.gate = bool(told.get("gate"))
            there.approved = told.get("approved") or there.approved
            return
        if there is not None:
            there.close()
        self._forwards[str(told["name"])] = Forward(told, self._cluster, self._namespace, self._pods)

    def _same(self, there: Forward, told: Mapping[str, Any]) -> bool:
        mine = there.told
        return (mine["selector"], mine["port"]) == (told["selector"], told["port"]) and told["listen"][1] in (0, there.port)

    def approve(self, name: str, incarnation: str) -> bool:
        """Whether there is such a forward: from now on it leads to the pod, or the container, that has this data."""
        with self._lock:
            forward = self._forwards.get(name)
            if forward is not None:
                forward.approved, forward.failure = incarnation, ""
                self._keep()
        if forward is not None:
            self._look_at(forward)
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

    def _keep(self) -> None:
        """Replaced at once, readable by its owner alone: there are credentials in it."""
        beside = f"{self._path}.{os.getpid()}"
        content = {"cluster": self._told, "namespace": self._namespace, "forwards": [each.told for each in self._forwards.values()]}
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(beside, self._path)

    def _changed(self) -> None:
        """In the thread of the watch."""
        with self._lock:
            forwards = list(self._forwards.values())
        for forward in forwards:
            forward.look()
            self._look_at(forward)

    def _look_at(self, forward: Forward) -> None:
        pod = forward.pods.best(forward.selector)
        if pod is not None and pod.helped and forward.gate and forward.approved not in (None, *pod.incarnations):
            self._make_anew(forward, pod.incarnations[-1])

    def _make_anew(self, forward: Forward, incarnation: str) -> None:
        """A server that lost its data gets it again, once, before its endpoint answers."""
        service = forward.name.partition("/")[0]
        if not self._reseed or (service, incarnation) in self._asked:
            return
        self._asked.add((service, incarnation))
        threading.Thread(target=self._seed, args=(service, forward, incarnation), daemon=True).start()

    def _seed(self, service: str, forward: Forward, incarnation: str) -> None:
        self._say(f"{service}: it was replaced; it is seeded again")
        try:
            process = subprocess.Popen(
                [*self._reseed, service], env=os.environ | self._env, cwd="/", stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            forward.failure = f"it cannot be seeded again: {error}"
            return
        self._seeding.append(process)
        status = process.wait()
        self._seeding.remove(process)
        self._say(f"{service}: seeding ended with {status}")
        if status:
            forward.failure = f"it was replaced, and seeding it again ended with {status}; the keeper's log says why"
            time.sleep(AGAIN)
            self._asked.discard((service, incarnation))
            if self._forwards.get(forward.name) is forward:
                self._look_at(forward)
