"""When a service's own health check may be run at our pace, which is earlier than its engine would run it."""

from __future__ import annotations

import time
from dataclasses import replace

from envctl.engines import Deployment
from envctl.plan.health import COMPOSED_PATIENCE, SERVER_PATIENCE
from envctl.plan.model import ServicePlan
from envctl.readiness import NotReady, Target, tcp


def may_be_asked(deployment: Deployment, service: ServicePlan, target: Target, began: float) -> bool:
    """Whether one of its ports answers, or has had the time to.

    Until its engine runs it, nobody's check has met a server that is about to make its files. RabbitMQ's client, run as
    root, makes the cookie that the server cannot read then, and the server ends (docker-library/rabbitmq#318, #695).

    Args:
        began: when it was first asked, on the monotonic clock.
    """
    server = any(check.probe not in ("health", "tcp") for check in service.checks)
    if time.monotonic() - began > (SERVER_PATIENCE if server else COMPOSED_PATIENCE):
        return True
    if reachable := [name for name, number in target.ports.items() if number]:
        return any(_answers(replace(target, options={"port": name})) for name in reachable)
    numbers = {port.number for port in service.ports}
    return not numbers or any(number in numbers for _, number in deployment.listening(service.name))


def _answers(target: Target) -> bool:
    try:
        tcp.probe(target)
    except (NotReady, OSError):
        return False
    return True
