"""Measure what CI and previews do on a cluster: `python -m benchmarks.previews requests|together|machines|push`.

requests: the number of requests of one `up` to the API server. together: many previews at once. machines: two jobs at once on machines with
the same hostname. push: `preview up` with one changed image, compared with kubectl.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cluster import REGISTRY
from benchmarks.programs import ENVCTL, ROOT, Failed, environment, run, seconds

SMALL = "name: e\nservices:\n  cache: {kind: valkey}\n  site: {kind: stub}\noutputs: {CACHE: '${cache.url}', SITE: '${site.url}'}\n"
TWO = """name: two
services:
  db: {kind: postgres, seed: [{sql: t.sql}]}
  web: {kind: api, image: "python:3.13-slim", port: 8000, run: "python -u -m http.server 8000", env: {DB: "${db.url}"}}
outputs: {WEB: "${web.url}"}
"""
COUNT = """
import sys
from envctl.engines.kubernetes.api import Api
asked, send = [], Api._send
def counted(self, *words, **more):
    asked.append(words)
    return send(self, *words, **more)
Api._send = counted
from envctl.cli import main
try:
    main()
finally:
    print("requests:", len(asked))
"""
JOB = """
import os, sys, time
from pathlib import Path
import redis
name, other = sys.argv[1:]
cache = redis.Redis.from_url(os.environ["CACHE"])
assert cache.dbsize() == 0, "not its own data"
cache.set("job", name)
Path(f"up-{name}").touch()
until = time.monotonic() + 120
while not Path(f"up-{other}").exists():
    assert time.monotonic() < until, "the other one never came up"
    time.sleep(0.05)
while name == "second" and not Path("first-is-over").exists():
    assert cache.get("job") == b"second"
    assert time.monotonic() < until
    time.sleep(0.05)
assert cache.keys() == [b"job"] and cache.get("job") == name.encode()
"""
WIDTH = 5
"""The number of runners at a time; on this machine, all of them and the cluster share two processors."""
MACHINE = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", 'hostname runner; exec "$@"', "sh"]


def main() -> int:
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="envctl-previews-") as name:
        work = Path(name)
        (work / "t.sql").write_text("create table t (n int);\n")
        for file, text in (("small", SMALL), ("two", TWO)):
            (work / f"{file}.yaml").write_text(text)
        return PARTS[given.part](work, given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.previews", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--times", type=int, help="how many: previews (20), rounds (20), pairs (7)")
    parser.add_argument("--engine", default="kubernetes", choices=["docker", "kubernetes", "local"], help="of `machines`")
    return parser.parse_args()


def _requests(work: Path, given: argparse.Namespace) -> int:
    env = environment(work) | {"ENVCTL_ENGINE": "kubernetes"}
    for what, words in (("two services", [str(work / "two.yaml")]), ("the shop", ["shop", "--registry", REGISTRY])):
        name = f"counted-{uuid.uuid4().hex[:6]}"
        try:
            said = run([sys.executable, "-c", COUNT, "up", *words, "--name", name], env)
            print(f"{what}: {said.rpartition('requests: ')[2].strip()} requests", flush=True)
        finally:
            run([ENVCTL, "down", next((work / "state" / "envctl").glob(f"{name}-*")).name], env)
    return 0


@contextmanager
def _previews(work: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Yield an environment for previews with its own namespace for locks, and the name of a repository that nothing else uses."""
    place = f"envctl-bench-{uuid.uuid4().hex[:8]}"
    run(["kubectl", "create", "namespace", place])
    (work / "envctl.toml").write_text(f'[preview]\nlocks = "{place}"\n')
    try:
        yield environment(work) | {"PYTHONPATH": str(ROOT)}, f"example.org/bench/{place}"
    finally:
        run(["kubectl", "delete", "namespace", place, "--wait=false"])


def _in(work: Path, env: Mapping[str, str], *words: str) -> str:
    done = subprocess.run([ENVCTL, *words], cwd=work, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"envctl {' '.join(words)} ended with {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def _together(work: Path, given: argparse.Namespace) -> int:
    numbers = range(1, (given.times or 20) + 1)
    with _previews(work) as (env, repository):

        def up(number: int) -> tuple[float, str]:
            own = {**env, "XDG_STATE_HOME": str(work / f"runner-{number}")}
            began = time.perf_counter()
            shown = json.loads(_in(work, own, "preview", "up", "small.yaml", "--key", f"{repository}#{number}", "--json"))
            return time.perf_counter() - began, shown["id"]

        def down(number: int) -> None:
            _in(
                work,
                {**env, "XDG_STATE_HOME": str(work / f"closer-{number}")},
                "preview",
                "down",
                "small.yaml",
                "--key",
                f"{repository}#{number}",
            )

        began = time.perf_counter()
        with ThreadPoolExecutor(WIDTH) as pool:
            try:
                found = list(pool.map(up, numbers))
                whole = time.perf_counter() - began
            finally:
                list(pool.map(down, numbers))
        left = run(["kubectl", "get", "namespaces", "-o", "name"]).split()
    ids = {id for _, id in found}
    times = [each for each, _ in found]
    print(f"{len(ids)} previews, {WIDTH} runners at a time: all up after {whole:.1f} s")
    print(f"one took {statistics.median(times):.1f} s (median), {max(times):.1f} s (worst)")
    return 0 if len(ids) == len(numbers) and not [id for id in ids if f"namespace/{id}" in left] else 1


def _machines(work: Path, given: argparse.Namespace) -> int:
    rounds, wrong = given.times or 20, 0
    (work / "envctl.toml").touch()
    for number in range(rounds):
        job = {name: _job(work, given.engine, name, f"{number}{index}") for index, name in enumerate(("first", "second"))}
        said = {"first": job["first"].communicate(timeout=300)[0]}
        (work / "first-is-over").touch()
        said["second"] = job["second"].communicate(timeout=300)[0]
        bad = [name for name, process in job.items() if process.returncode]
        wrong += bool(bad)
        for name in bad:
            print(f"round {number}: {name} ended with {job[name].returncode}\n{said[name][-2000:]}", flush=True)
        for path in (*work.glob("up-*"), work / "first-is-over"):
            path.unlink(missing_ok=True)
    print(f"{given.engine}: {rounds} times two jobs at once on machines of one hostname: {wrong} rounds in which a job was red")
    return 1 if wrong else 0


def _job(work: Path, engine: str, name: str, run_id: str) -> subprocess.Popen[str]:
    home = work / f"home-{run_id}"
    home.mkdir()
    kept = {key: value for key, value in environment(home).items() if not key.startswith(("XDG_", "GITHUB_"))}
    env = {
        **kept, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "ENVCTL_ENGINE": engine, "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": run_id, "GITHUB_JOB": "test", "GITHUB_WORKSPACE": str(work), "PYTHONPATH": str(ROOT),
        "KUBECONFIG": os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config")),
    }  # fmt: skip
    words = [ENVCTL, "run", "small.yaml", "--", sys.executable, "-c", JOB, name, "second" if name == "first" else "first"]
    return subprocess.Popen(
        [*MACHINE, *words], cwd=work, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _push(work: Path, given: argparse.Namespace) -> int:
    images = [_image(work, digit) for digit in "12"]
    with _previews(work) as (env, repository):
        key = ("--key", f"{repository}#1")

        def up(image: str) -> float:
            began = time.perf_counter()
            _in(work, env, "preview", "up", "two.yaml", *key, "--image", f"web={image}")
            return time.perf_counter() - began

        try:
            up(images[0])
            place = next((work / "state" / "envctl").glob("pr-1-*")).name
            ratios = [_pair(place, images, up) for _ in range(given.times or 7)]
        finally:
            _in(work, env, "preview", "down", "two.yaml", *key)
    print(f"`preview up` with one changed image / kubectl: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0 if statistics.median(ratios) <= 1.3 else 1


def _pair(place: str, images: list[str], up: object) -> float:
    """Change to the second image with kubectl and back to the first with envctl; return the ratio of the times."""
    assert callable(up)
    theirs = seconds(["kubectl", "-n", place, "set", "image", "deployment/web", f"web={images[1]}"])
    theirs += seconds(["kubectl", "-n", place, "rollout", "status", "deployment/web", "--timeout=120s"])
    ours: float = up(images[0])
    print(f"  ours {ours:.2f} s, theirs {theirs:.2f} s", flush=True)
    return ours / theirs


def _image(work: Path, digit: str) -> str:
    """Push an image that the cluster can pull, and return its name; each *digit* gives a different image."""
    name = f"{REGISTRY}/envctl-bench-push:{digit}"
    run(["docker", "build", "-q", "-t", name, "--build-arg", f"N={digit}", str(_context(work))])
    run(["docker", "push", "-q", name])
    run(["docker", "rmi", name])
    return name


def _context(work: Path) -> Path:
    folder = work / "image"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("FROM python:3.13-slim\nARG N\nLABEL n=$N\n")
    return folder


PARTS = {"requests": _requests, "together": _together, "machines": _machines, "push": _push}

if __name__ == "__main__":
    if shutil.which("kubectl") is None:
        sys.exit("no kubectl here")
    sys.exit(main())
