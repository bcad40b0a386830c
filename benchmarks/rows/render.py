"""Measure the time from a definition file of 500 services to the text of its Compose file, without Python's start and imports.

Each run has its own process, so that nothing is cached from the run before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.definitions import large
from benchmarks.harness import Goal, Sides
from benchmarks.programs import environment, run

WHAT = "load, plan and render 500 services (without Python's start and imports)"
GOAL = Goal(1.0)


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    file, env = large(work / "large"), environment(work)
    yield Sides(lambda: float(run([sys.executable, "-m", __name__, str(file)], env)))


def _render(file: str) -> float:
    from envctl.engines.registry import traits
    from envctl.environment import open_environment
    from envctl.plan.make import make_plan
    from envctl.plan.render_setting import render_setting
    from envctl.render import write_manifests

    began = time.perf_counter()
    environment = open_environment(file, environ=os.environ)
    plan = make_plan(environment, render_setting(environment, "large", traits("docker"), {}))
    assert write_manifests(plan, None).text.count("image:") == 500
    return time.perf_counter() - began


if __name__ == "__main__":
    print(_render(sys.argv[1]))
