"""An environment of two services on each engine, and how long it takes to come and to go: moments are drawn from that."""

from __future__ import annotations

import random
import time

import pytest
from processes import Moments
from tests_support import Project

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

COUNT = {"docker": 5, "local": 8}
"""Moments of each command; `benchmarks/crashes.py` tries more."""


@pytest.fixture
def pair(on: Project) -> Project:
    on.environment("env", PAIR)
    return on


@pytest.fixture(scope="session")
def took() -> dict[tuple[str, str], float]:
    return {}


@pytest.fixture
def moments(pair: Project, took: dict[tuple[str, str], float]) -> Moments:
    """So many moments, one in each part of the time that `up`, or `run`, takes here and now."""

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
