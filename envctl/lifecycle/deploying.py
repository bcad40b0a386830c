"""What engines are told of a run."""

from __future__ import annotations

from envctl.engines import Deployment, DeploymentSettings, Engine
from envctl.engines.mixed import deployment_of
from envctl.instance.codec import encode
from envctl.instance.labels import labels_of
from envctl.lifecycle.bring_up import Run
from envctl.plan.model import Plan


def settings_of(run: Run) -> DeploymentSettings:
    """As the record of *run* says now."""
    record = run.record
    return DeploymentSettings(
        folder=run.session.store.folder(record.id),
        environ=run.environ,
        in_flight=run.in_flight,
        labels=labels_of(record),
        expires=record.expires,
        cluster=dict(record.choices.kubernetes),
        document=encode(record),
    )


def deploy(run: Run, engine: Engine, plan: Plan) -> Deployment:
    """The services of *plan*, each in its place."""
    return deployment_of(engine, run.session.host, plan, settings_of(run))
