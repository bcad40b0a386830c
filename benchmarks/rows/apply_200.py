"""200 services rendered, applied and watched: the processor time of our own process, without pods (no replicas)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.programs import environment, run

WHAT = "apply and watch 200 services on Kubernetes: processor time of our own"
GOAL = Goal(3.0)
SERVICE = "  s{number}: {{kind: stub, kubernetes: {{spec: {{replicas: 0}}}}}}\n"
PROGRAM = """
import sys, time
from pathlib import Path
from envctl.engines.registry import traits
from envctl import instance
from envctl.keeper_client import keepers
from envctl.environment import open_environment
from envctl.engines import open_engine
from envctl.engines.choice import lasting_context
from envctl.process.threads import each
from envctl.plan.make import make_plan
from envctl.plan.setting import render_setting

environment = open_environment(sys.argv[1], cwd=Path.cwd())
began = time.process_time()
engine = open_engine("kubernetes", lasting_context("kubernetes"))
plan = make_plan(environment, render_setting(environment, "bench-200", traits("kubernetes"), {}))
record = instance.Record(
    name="bench-200", id=plan.setting.id, environment="many", engine="kubernetes", project="", file="", created=instance.now(), secret="00"
)
project = engine.project(plan, record.folder)
try:
    with instance.lock(record.id):
        record.save()
        keepers.ensure(record, watched=False)
        project.create()
        with project.deaths(lambda service, status: None):
            each(project.start, list(plan.services.values()))
            print(time.process_time() - began)
finally:
    from envctl.lifecycle.down import tear_down

    tear_down(engine, record)
"""


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    file = work / "many.yaml"
    file.write_text("name: many\nservices:\n" + "".join(SERVICE.format(number=number) for number in range(200)))
    env = environment(work)
    yield Sides(lambda: float(run([sys.executable, "-c", PROGRAM, str(file)], env).split()[-1]))
