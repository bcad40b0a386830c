"""Add the environment's state and the last lines of logs to a failed test, and tell failures of the environment from those of the test."""

from __future__ import annotations

from contextlib import suppress

import pytest

from envctl.engines.logs import text
from envctl.engines.mixed import running_instance
from envctl.errors import EnvctlError
from envctl.inspect.status import document
from envctl.instance.record import Record
from envctl.session import Session
from envctl.session.mask import Mask

LINES = 15
OWN = ("service", "api", "web", "job")
"""Kinds of services under test, whose logs help to explain a failed test."""
BROKEN = ("failed", "stopped", "pending", "starting")


def add_evidence(report: pytest.TestReport, session: Session, record: Record, lane: int) -> None:
    """Add the state of the services in *lane* to *report*. If one of them is broken, pytest reports an error instead of a failure."""
    try:
        record = session.store.load(record.id) or record
        there = running_instance(session.host, record.location, record.id, record.choices.local)
        told = document(record, there.states())
    except EnvctlError as error:
        _break(report, f"its state is unknown: {error.message}")
        return
    mine = {name: service for name, service in record.services.items() if service.lane in (0, lane)}
    states = {name: service["state"] for name, service in told["services"].items() if name in mine}
    lines = [f"{record.name} ({record.id}) on {record.engine}: {told['state']}", *(f"  {name}: {state}" for name, state in states.items())]
    broken = [name for name, state in states.items() if state in BROKEN]
    for name in broken or [name for name, service in mine.items() if service.kind in OWN]:
        with suppress(EnvctlError):
            said = text(there.logs(name, LINES)).splitlines() or ["(nothing)"]
            lines += ["", f"last lines of {name}:", *(f"  {line}" for line in said)]
    report.sections.append(("envctl", Mask(record.secrets)("\n".join(lines))))
    if broken:
        _break(report, f"{', '.join(f'{name} is {states[name]}' for name in broken)}")


def _break(report: pytest.TestReport, why: str) -> None:
    """Note that the environment is broken, and make the failure an error: pytest counts failures outside the test itself as errors."""
    report.sections.insert(0, ("envctl", f"the environment is broken: {why}"))
    if report.when == "call":
        report.when = "setup"
