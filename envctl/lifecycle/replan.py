"""The plan of an instance that is there, made again from its record, for the commands that work on one service."""

from __future__ import annotations

from pathlib import Path

from envctl.engines import Deployment, Engine, open_engine
from envctl.engines.common.mixed import open_deployment
from envctl.environment import Environment, open_environment
from envctl.instance import Record
from envctl.lifecycle.intent import setting_of
from envctl.plan import transforms
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.plan.transforms.options import Selection


def plan_of(record: Record, engine: Engine | None = None) -> Plan:
    """The same plan as `up` made, as long as the definition is the same.

    Raises:
        DefinitionError: it has mistakes now.
    """
    engine = engine or open_engine(*record.location)
    return make_plan(_environment(record), setting_of(record, engine, record.options.get("images", {})))


def _environment(record: Record) -> Environment:
    """The definition, with what the command line of `up` changed in it."""
    chosen = record.options
    environment = open_environment(record.file, cwd=Path(record.project), overrides=chosen.get("set", {}))
    given = Selection(chosen.get("only", ()), chosen.get("stub", ()), chosen.get("use", {}), chosen.get("image", {}))
    return transforms.apply(environment, given)


def project_of(record: Record) -> tuple[Engine, Plan, Deployment]:
    engine = open_engine(*record.location)
    plan = plan_of(record, engine)
    return engine, plan, open_deployment(engine, plan, record.folder)


def environment_by_hand(record: Record, service: str) -> dict[str, str]:
    """What *service* would get if it ran on this machine: the same variables, with outside addresses."""
    from envctl.plan.make import environment_outside

    engine = open_engine(*record.location)
    return environment_outside(_environment(record), setting_of(record, engine, {}), service)
