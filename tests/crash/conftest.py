"""An environment of two services on each engine, and random moments while it starts or is removed."""

from __future__ import annotations

import random
import time

import pytest

from tests.processes import Moments
from tests.support import Project

PAIR = """
services:
  cache:
    kind: valkey
    seed: [{command: sleep 0.1}, {command: python3 -c pass, in: api}, {command: "true", in: server}]
  api:
    kind: api
    image: python:3.13-slim
    run: python3 -m http.server ${self.port} --bind ${self.bind}
    port: 8000
    env: {CACHE: "${cache.url}"}
outputs: {API: "${api.url}", CACHE: "${cache.url}"}
"""

COUNT = {"docker": 5, "kubernetes": 3, "local": 8}
"""The number of moments for each command, by engine; `benchmarks/crashes.py` tries more."""


ON_A_CLUSTER = ("test_up_killed", "test_run_killed", "test_command_and_keeper_killed_at_once", "test_up_killed_while_it_seeds")
"""The tests whose result depends on the engine.

The other tests skip the cluster: removing a namespace is slow, and the keeper is the same as on Docker.
"""


@pytest.fixture
def pair(on: Project, request: pytest.FixtureRequest) -> Project:
    if on.engine == "kubernetes" and request.node.originalname not in ON_A_CLUSTER:
        pytest.skip("the keeper is the same as on Docker; `python -m benchmarks.crashes` tries more")
    on.environment("env", PAIR)
    return on


@pytest.fixture(scope="session")
def took() -> dict[tuple[str, str], float]:
    return {}


@pytest.fixture
def moments(pair: Project, took: dict[tuple[str, str], float]) -> Moments:
    """Return a function that draws random moments in seconds, one in each equal part of the time that `up` or `run` takes."""

    def drawn(word: str) -> list[float]:
        count = COUNT[pair.engine]
        if (pair.engine, word) not in took:
            words = ["run", "env", "--", "true"] if word == "run" else [word, "env"]
            began = time.monotonic()
            pair.envctl(*words).ok()
            took[pair.engine, word] = time.monotonic() - began
            pair.envctl("down", "env")
        source = random.Random(word)
        return [(part + source.random()) / count * took[pair.engine, word] for part in range(count)]

    return drawn
