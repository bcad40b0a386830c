"""An environment of two services, and how long it takes to come and to go: moments are drawn from that."""

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
    seed: [{command: python -c pass, in: api}, {command: valkey-cli set key seeded, in: server}]
  api:
    kind: api
    image: python:3.13-slim
    run: python -m http.server 8000
    port: 8000
    env: {CACHE: "${cache.url}"}
outputs: {API: "${api.url}", CACHE: "${cache.url}"}
"""


@pytest.fixture
def pair(project: Project) -> Project:
    project.environment("env", PAIR)
    return project


@pytest.fixture(scope="session")
def took() -> dict[str, float]:
    return {}


@pytest.fixture
def moments(pair: Project, took: dict[str, float]) -> Moments:
    """So many moments, one in each part of the time that `up`, or `run`, takes here and now."""

    def drawn(word: str, count: int) -> list[float]:
        if word not in took:
            words = ["run", "env", "--", "true"] if word == "run" else [word, "env"]
            began = time.monotonic()
            pair.envctl(*words).ok()
            took[word] = time.monotonic() - began
            pair.envctl("down", "env")
        source = random.Random(f"{word} {count}")
        return [(part + source.random()) / count * took[word] for part in range(count)]

    return drawn
