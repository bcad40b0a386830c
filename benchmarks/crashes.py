"""Send SIGKILL at random moments, and print a Markdown table of how long it takes until nothing is left: `python -m benchmarks.crashes`."""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import ENVCTL, environment, run
from envctl.engines import Engine, open_engine
from envctl.engines.choice import lasting_context
from envctl.engines.docker.engine import DockerEngine, labelled
from envctl.engines.kubernetes.engine import KubernetesEngine
from envctl.engines.local.folders import services_folder
from envctl.instance.identity import instance_id
from envctl.instance.record import Location
from envctl.keeper import process_marks, system
from envctl.session import Session

PAIR = """
name: env
services:
  cache:
    kind: valkey
    seed: [{command: sleep SECONDS}, {command: python3 -c pass, in: api}, {command: "true", in: server}]
  api:
    kind: api
    image: python:3.13-slim
    run: python3 -m http.server ${self.port} --bind ${self.bind}
    port: 8000
    env: {CACHE: "${cache.url}"}
outputs: {API: "${api.url}"}
"""
PATIENCE = 60.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Instance:
    """An instance whose processes will be killed, and the command that works on it."""

    id: str
    process: subprocess.Popen[bytes]

    def command(self) -> list[int]:
        return [self.process.pid]

    def keeper(self) -> list[int]:
        config = f"/{self.id}/keeper-config.json".encode()
        return [pid for pid in process_marks.marked(self.id) if _line(pid).rstrip(b"\0").endswith(config)]

    def both(self) -> list[int]:
        return [*self.command(), *self.keeper()]

    def supervisor(self) -> list[int]:
        found = system.variables([process_marks.SUPERVISOR])
        return [pid for pid, values in found.items() if values.get(process_marks.SUPERVISOR) == self.id]

    def keeper_and_supervisor(self) -> list[int]:
        return [*self.keeper(), *self.supervisor()]

    def service(self) -> list[int]:
        return [pid for pid in process_marks.marked(self.id) if b"http.server" in _line(pid)]


@dataclass(frozen=True)
class Case:
    """A case: what is killed, during which part of which command, and whether another command runs afterwards."""

    what: str
    words: Sequence[str]
    victims: Callable[[Instance], list[int]]
    seeding: float = 0.1
    part: tuple[float, float] = (0.0, 1.0)
    then: bool = False
    engines: Sequence[str] = ("docker", "local")


EVERYWHERE = ("docker", "kubernetes", "local")
RUN = ("run", "--", "sleep", "0.1")
CASES = [
    Case("`up`", ("up",), Instance.command, engines=EVERYWHERE),
    Case("`up`, most of it seeding", ("up",), Instance.command, seeding=1.5),
    Case("`run`", RUN, Instance.command, engines=EVERYWHERE),
    Case("`run`, while it tears down", RUN, Instance.command, part=(0.75, 1.0)),
    Case("the keeper of a `run`", RUN, Instance.keeper),
    Case("the keeper of an `up`, then `envctl list`", ("up",), Instance.keeper, then=True),
    Case("`up` and its keeper, then `envctl list`", ("up",), Instance.both, then=True),
    Case("`run` and its keeper, then `envctl list`", RUN, Instance.both, then=True, engines=EVERYWHERE),
    Case("the supervisor under a `run`", RUN, Instance.supervisor, engines=("local",)),
    Case("keeper and supervisor under a `run`", RUN, Instance.keeper_and_supervisor, engines=("local",)),
    Case("a service under a `run`", RUN, Instance.service, engines=("local",)),
]


@dataclass(frozen=True)
class Outcome:
    """The seconds from the kill (or the end of the command after it) until nothing was left, or else what was left at the time limit."""

    seconds: float = 0.0
    left: tuple[str, ...] = ()
    stayed: bool = False
    """Whether the instance was up before the kill, and remained complete."""


@dataclass(frozen=True)
class Bench:
    """The folder and the engine of a benchmark run."""

    work: Path
    engine: Engine

    @property
    def env(self) -> dict[str, str]:
        return {**environment(self.work), "ENVCTL_ENGINE": self.engine.name}

    def started(self, name: str, words: Sequence[str]) -> Instance:
        command = [ENVCTL, words[0], "env", "--name", name, *words[1:]]
        with (self.work / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.work, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return Instance(instance_id(name, self.work), process)

    def prepare(self, case: Case, workers: int) -> float:
        """Write the definition. Return the mean seconds that the undisturbed command takes, warm, with *workers* running at a time."""
        (self.work / "environments").mkdir(exist_ok=True)
        (self.work / "environments/env.yaml").write_text(PAIR.replace("SECONDS", f"{case.seeding}"))
        with ThreadPoolExecutor(workers) as pool:
            return statistics.mean(list(pool.map(lambda number: self._undisturbed(case, f"first-{number}"), range(2 * workers)))[workers:])

    def _undisturbed(self, case: Case, name: str) -> float:
        began = time.monotonic()
        if self.started(name, case.words).process.wait():
            raise SystemExit((self.work / f"{name}.log").read_text())
        took = time.monotonic() - began
        self.down(name)
        return took

    def down(self, name: str) -> None:
        run([ENVCTL, "down", instance_id(name, self.work)], self.env)

    def hit(self, case: Case, name: str, moment: float) -> Outcome:
        instance = self.started(name, case.words)
        with suppress(subprocess.TimeoutExpired):
            instance.process.wait(moment)
        came_up = instance.process.poll() == 0 and case.words[0] == "up"
        for pid in case.victims(instance):
            system.send(pid, signal.SIGKILL)
        began = time.monotonic()
        status = instance.process.wait(PATIENCE)
        if case.then:
            run([ENVCTL, "list"], self.env)
            began = time.monotonic()
        outcome = self._looked(instance.id, began, stays=came_up or status == 0)
        if outcome.stayed or outcome.left:
            self.down(name)
        return outcome

    def _looked(self, id: str, began: float, stays: bool) -> Outcome:
        while left := self.left(id):
            waited = time.monotonic() - began
            state = _state(self.work / "state/envctl" / id / "instance.json")
            if state == "up" and (stays or waited > 5):  # the command was killed when the instance was already up
                return Outcome(stayed=True)
            if waited > PATIENCE:
                return Outcome(waited, tuple(left))
            time.sleep(POLL_SECONDS)
        return Outcome(time.monotonic() - began)

    def left(self, id: str) -> list[str]:
        folders = [self.work / "state/envctl" / id, services_folder(id, self.work / "state/envctl")]
        found = [str(folder) for folder in folders if folder.exists()]
        found += [f"process {pid}: {_line(pid)!r}" for pid in process_marks.marked(id)]
        if isinstance(self.engine, KubernetesEngine) and not found and self.engine.api.get("v1", "Namespace", None, id):
            found.append(f"namespace {id}")
        if isinstance(self.engine, DockerEngine) and not found:
            entries = labelled(self.engine.connection.daemon, f"envctl.instance={id}")
            found += [f"{what} {entry.get('Name') or entry['Id']}" for what, several in entries.items() for entry in several]
        return found


def _line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _state(record: Path) -> str:
    with suppress(OSError):
        return "up" if '"state": "up"' in record.read_text("utf-8") else "another"
    return ""


def outcomes(bench: Bench, number: int, case: Case, count: int, workers: int) -> list[Outcome]:
    took = bench.prepare(case, workers)
    source = random.Random(f"{case.what} {count}")
    first, last = (part * took for part in case.part)
    moments = [first + (part + source.random()) / count * (last - first) for part in range(count)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: bench.hit(case, f"c{number}-{job[0]}", job[1]), enumerate(moments)))


def row(case: Case, found: Sequence[Outcome]) -> str:
    gone = [outcome.seconds for outcome in found if not outcome.stayed]
    left = sum(bool(outcome.left) for outcome in found)
    figures = f"{statistics.median(gone):.2f} s | {max(gone):.2f} s" if gone else "- | -"
    return f"| {case.what} | {len(found)} | {sum(outcome.stayed for outcome in found)} | {left} | {figures} |"


def rows(bench: Bench, count: int, workers: int) -> Iterator[str]:
    yield f"| Killed on {bench.engine.name} | Moments | Was up before | Left behind | Until nothing is left (median) | (worst) |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for number, case in enumerate(CASES):
        if bench.engine.name in case.engines:
            found = outcomes(bench, number, case, count, workers)
            for outcome in found:
                if outcome.left:
                    print(f"{case.what}: {outcome.left}", file=sys.stderr)
            yield row(case, found)


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.crashes", description=__doc__)
    parser.add_argument("--engine", choices=EVERYWHERE, default="local")
    parser.add_argument("--moments", type=int, default=50, help="per case (50)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="instances at a time (one for each processor)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="envctl-crashes-") as folder:
        work = Path(folder).resolve()
        (work / "envctl.toml").write_text("")
        host = Session(environment(work), work).host
        bench = Bench(work, open_engine(Location(given.engine, lasting_context(given.engine, host.environ)), host))
        for line in rows(bench, given.moments, given.workers):
            print(line, flush=True)


if __name__ == "__main__":
    main()
