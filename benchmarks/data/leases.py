"""Kill the helper that hands out leases at random moments, while clients take units, return them, or die with them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.data.instance import Refused, Running, connected, running

DEFINITION = "name: data\nservices:\n  db: {kind: postgres, seed: [{sql: seed.sql}]}\noutputs: {URL: '${db.url}'}\n"
CLIENTS = 3
TTL, SLACK = 3.0, 5.0
"""The seconds that a lease lasts, and how much longer its unit may exist."""


def measure(work: Path, engine: str, count: int) -> str:
    (work / "seed.sql").write_text("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    with running(work, engine, DEFINITION) as instance:
        soak = Soak(instance)
        threads = [threading.Thread(target=soak.client, args=(seed,)) for seed in range(CLIENTS)]
        threads.append(threading.Thread(target=soak.watch))
        for thread in threads:
            thread.start()
        try:
            for _ in range(count):
                instance.asked_until_there("GET", "/v1/leases")
                time.sleep(random.uniform(0.0, 3.0))
                soak.kill()
        finally:
            soak.over.set()
            for thread in threads:
                thread.join()
        soak.settle()
    assert not soak.wrong, "; ".join(soak.wrong[:3])
    return (
        f"{soak.kills} kills, {soak.taken} leases, {soak.refused} requests refused meanwhile; a unit was there for "
        f"{soak.latest:.1f} s after the end of its lease at worst ({SLACK:g} s allowed), none twice"
    )


class Soak:
    def __init__(self, instance: Running) -> None:
        self._instance = instance
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.ends: dict[str, float] = {}
        """By unit: the moment when its lease ends."""
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.taken = self.refused = self.kills = 0
        self.latest = 0.0
        self._watching = connected(instance.lanes[0]["URL"], "postgres")

    def kill(self) -> None:
        words = ["pgrep", "-f", f"envctl.leases {self._instance.folder} "]
        for pid in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
            self.kills += 1

    def client(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.over.is_set():
            try:
                self._lease(chance)
            except Refused:
                self.refused += 1
                time.sleep(0.05)

    def _lease(self, chance: random.Random) -> None:
        told = self._instance.ask("POST", "/v1/leases", {"service": "db", "ttl": TTL})
        unit = told["properties"]["url"].rpartition("/")[2]
        with self._lock:
            self.taken += 1
            self.wrong += [f"{unit} was handed out twice"] if unit in self.seen else []
            self.seen.add(unit)
            self.ends[unit] = time.monotonic() + TTL
        connection = connected(told["properties"]["url"])
        rows = connection.run("SELECT count(*) FROM t")
        connection.close()
        self.wrong += [f"{unit} was not as it was seeded: {rows}"] if rows != [[1]] else []
        time.sleep(chance.uniform(0.0, 0.2))
        if chance.random() < 0.7:  # otherwise the client dies with its unit
            self._instance.ask("DELETE", f"/v1/leases/{told['id']}")

    def watch(self) -> None:
        while not self.over.wait(0.2):
            self.look()

    def look(self) -> set[str]:
        """Return the units that exist now, and record those that exist too long."""
        there = {row[0] for row in self._watching.run("SELECT datname FROM pg_database WHERE datname LIKE '%lease%'")}
        with self._lock:
            for unit in there & self.ends.keys():
                late = time.monotonic() - self.ends[unit]
                self.latest = max(self.latest, late)
                self.wrong += [f"{unit} is there {late:.1f} s after its lease has ended"] if late > SLACK else []
        return there

    def settle(self) -> None:
        """Check, after the last client has stopped, that in the end every unit is ready and known to the pool."""
        until = time.monotonic() + TTL + SLACK
        while time.monotonic() < until:
            there = self.look()
            time.sleep(0.2)
        told = self._instance.ask("GET", "/v1/leases")
        ready = sum(pool["ready"] for pool in told["pools"])
        if told["leases"] or ready != len(there):
            self.wrong.append(f"in the end {len(there)} units are there, {ready} of them ready, leases {told['leases']}")
