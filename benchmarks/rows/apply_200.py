"""Measure the processor time of envctl's own process while it renders, applies and watches 200 services, without pods (no replicas)."""

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
import os, sys, time
from pathlib import Path
from envctl.engines import DeploymentSettings, open_engine
from envctl.instance.labels import labels_of
from envctl.instance.lock import lock
from envctl.lifecycle.claiming import allocate, claim, draft
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.keeper import ensure_keeper
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.planning import open_selected, plan_of_environment
from envctl.process.threads import each
from envctl.session import Session

session = Session(dict(os.environ), Path.cwd())
options = UpOptions(sys.argv[1], name="bench-200", engine="kubernetes")
environment = open_selected(session, options)
began = time.process_time()
record = draft(session, options, environment, "")
engine = open_engine(record.location, session.host)
plan = plan_of_environment(session, environment, record)
with lock(session.store.folder(record.id)):
    record = ensure_keeper(session, claim(session, engine, record, options), watched=False)
    try:
        plan = plan.with_allocation(allocate(session.store, engine, plan, record, ()), engine.addresses())
        settings = DeploymentSettings(session.store.folder(record.id), session.environ, labels=labels_of(record))
        deployment = engine.deployment(plan, settings)
        deployment.create()
        with deployment.exit_events(lambda service, status: None, lambda error: None):
            each(deployment.start, list(plan.services.values()))
            print(time.process_time() - began)
    finally:
        tear_down(session, engine, record)
"""


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    file = work / "many.yaml"
    file.write_text("name: many\nservices:\n" + "".join(SERVICE.format(number=number) for number in range(200)))
    env = environment(work)
    yield Sides(lambda: float(run([sys.executable, "-c", PROGRAM, str(file)], env).split()[-1]))
