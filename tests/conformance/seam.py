"""An instance on one engine, for the tests of the engine protocol: a server, two replicas, a failing job, and a server with data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from envctl.engines import CommandResult, Deployment, DeploymentSettings, Engine, RunningInstance, open_engine
from envctl.engines.logs import text
from envctl.instance.labels import labels_of
from envctl.instance.lock import lock
from envctl.instance.record import Record
from envctl.lifecycle.claiming import allocate, claim, draft
from envctl.lifecycle.keeper import ensure_keeper
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.planning import open_selected, plan_of_environment
from envctl.plan.model import Plan, ServicePlan
from envctl.session import Session
from tests.fake_engine import FakeEngine, Script, installed
from tests.processes import until

DEFINITION = """
name: env
variables:
  server: |
    import http.server, signal, sys
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print('web started', flush=True)
    http.server.HTTPServer(('', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
  pair: |
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print('one line')
    print('pair started', flush=True)
    time.sleep(9999)
services:
  web:
    image: python:3.13-slim
    run: ["python", "-c", "${var.server}", "${self.port}"]
    port: 8000
    env: {WORD: word}
    stop: 2s
    seed: [{command: "true", in: server}]
  pair: {image: python:3.13-slim, run: ["python", "-c", "${var.pair}"], replicas: 2, stop: 2s}
  ends: {kind: job, image: python:3.13-slim, run: ["python", "-c", "print('last words'); raise SystemExit(5)"]}
  store: {kind: valkey, with: {durable: true}}
"""
SCRIPTS = {
    "web": Script("web started\n"),
    "pair": Script("one line\npair started\n"),
    "ends": Script("last words\n", ends=5),
    "store": Script("ready\n"),
}


def commands(argv: Sequence[str], env: Mapping[str, str], stdin: bytes) -> CommandResult:
    """Return the result of a command of these tests, for the fake engine, which runs nothing."""
    if argv[0] != "sh":
        return CommandResult(127, f"{argv[0]}: not found")
    status = int(argv[-1].rpartition(" ")[2])
    return CommandResult(status, f"{env['WORD']} {env.get('MORE', '')} {stdin.decode()}\n")


@dataclass
class Subject:
    """An engine and the instance that the tests share.

    Attributes:
        deployment: The deployment of the whole plan.
        kill_one: A function that kills one replica of a service; None if the engine does not allow it.
    """

    session: Session
    engine: Engine
    record: Record
    plan: Plan
    deployment: Deployment
    kill_one: Callable[[str], None] | None

    @property
    def attached(self) -> RunningInstance:
        """The instance as a later command sees it."""
        return self.engine.attach(self.record.id)

    def service(self, name: str) -> ServicePlan:
        return self.plan.services[name]

    def part(self, *names: str) -> Deployment:
        """Return a deployment of only the services *names*."""
        plan = replace(self.plan, services={name: self.plan.services[name] for name in names})
        return self.engine.deployment(plan, settings_of(self.session, self.record))

    def runs(self, name: str) -> None:
        """Wait until the service *name* runs."""
        until(lambda: self.deployment.state(name).running, what=f"{name} runs")


def settings_of(session: Session, record: Record) -> DeploymentSettings:
    environ = {**session.environ, "ENVCTL_MARK": record.id}
    return DeploymentSettings(session.store.folder(record.id), environ, labels=labels_of(record))


@contextmanager
def brought_up(name: str, folder: Path) -> Iterator[Subject]:
    """Start all services of the definition on the engine *name*, and remove the instance at the end."""
    (folder / "envctl.toml").write_text("")
    (folder / "env.yaml").write_text(DEFINITION)
    session = Session(dict(os.environ), folder)
    with ExitStack() as stack:
        if name == "fake":
            stack.enter_context(installed(FakeEngine(SCRIPTS, commands)))
        options = UpOptions("env.yaml", engine=name)
        environment = open_selected(session, options)
        record = draft(session, options, environment, "")
        engine = open_engine(record.location, session.host)
        record = ensure_keeper(session, claim(session, engine, record, options), watched=False)
        stack.callback(_gone, session, engine, record)
        plan = plan_of_environment(session, environment, record)
        allocation = allocate(session.store, engine, plan, record, ())
        plan = plan.with_allocation(allocation, engine.addresses())
        deployment = engine.deployment(plan, settings_of(session, record))
        subject = Subject(session, engine, record, plan, deployment, killer(engine, record.id))
        deployment.prepare(lambda service, text: None)
        deployment.create()
        for service in plan.services.values():
            deployment.start(service)
        for running in ("web", "pair", "store"):
            subject.runs(running)
        until(lambda: text(deployment.logs("pair")).count("pair started") == plan.services["pair"].replicas)
        yield subject


def _gone(session: Session, engine: Engine, record: Record) -> None:
    with lock(session.store.folder(record.id)):
        engine.remove(record.id, {})
        session.store.remove(record.id)
        session.keepers.dismiss(session.keepers.find(record.id), record.id)


def killer(engine: Engine, id: str) -> Callable[[str], None] | None:
    """Return a function that kills one replica of a service.

    Return None for Kubernetes, which replaces a killed pod at once, and for local processes, which have one replica only.
    """
    from envctl.engines.docker.engine import DockerEngine

    if isinstance(engine, FakeEngine):
        return lambda service: engine.instances[id].end(service, 137, replica=1)
    if isinstance(engine, DockerEngine):
        return lambda service: engine.connection.api.kill(engine.attach(id).ids(service)[1])
    return None
