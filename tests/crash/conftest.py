"""An environment of two services, and how long it takes to come and to go: moments are drawn from that."""

from __future__ import annotations

import random
import time

import pytest
from processes import Moments
from tests_support import Project

PAIR = """
services:
  events: {kind: nats}
  site: {kind: stub, needs: [events]}
outputs: {SITE: "${site.url}", EVENTS: "${events.url}"}
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
