"""Evidence about a failed service: the history of its probes, its exit code, the last lines of its log, and advice."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from envctl.engines.logs import text
from envctl.errors import Evidence, ServiceFailed
from envctl.plan.model import ServicePlan

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp

LOG_LINES = 40


def failure(work: BringUp, service: ServicePlan, message: str, step: str, status: int | None = None) -> ServiceFailed:
    """Return the error *message* about *service*, with evidence; *status* is an exit code."""
    return ServiceFailed(message, evidence_of(work, service, step, status))


def evidence_of(work: BringUp, service: ServicePlan, step: str, status: int | None = None, advice: str = "") -> Evidence:
    """Return the evidence about *service*, which failed in *step*; *status* is an exit code. Without *advice*, a general one is given."""
    lines: tuple[str, ...] = ()
    process = work.plan.setting.runs_as_process(service.name)
    with suppress(Exception):  # evidence is best effort: missing logs must not hide the failure
        lines = tuple(text(work.deployment.logs(service.name, LOG_LINES)).splitlines())
    history = work.histories[service.name].shown() if service.name in work.histories else ()
    return Evidence(service.name, step, history, status, lines[-LOG_LINES:], advice or _advice(status, service, process))


def _advice(status: int | None, service: ServicePlan, process: bool) -> str:
    if status == 127 and process:
        return "check `run:`; programs are searched for in the PATH of this shell"
    if status == 127:
        return "check `run:` and `command:`, and that the image has the program"
    if status == 137 and service.resources is not None:
        return "give it more memory in `resources:`"
    if status is not None:
        return ""
    return "raise `ready: {timeout: ...}` if it is only slow"
