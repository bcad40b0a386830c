"""Public URLs on a cluster depend on DNS, a controller and its network, so envctl requests each, like a browser, once everything is up.

Where it does not answer, that is said and noted, and is no failure: DNS may need minutes, and this machine need not be one that reaches it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from envctl.instance.record import Record
from envctl.plan.exposing import Exposed
from envctl.plan.model import Plan, ServicePlan

PERIOD, PATIENCE = 5.0, 3.0
"""Seconds: for all attempts, a controller takes that long to notice a new URL; for one answer."""
COMPARED = 65_536
"""Bytes of an answer."""
Answer = tuple[int, str, bytes]


def public_faults(plan: Plan, record: Record, deadline: float) -> dict[str, str]:
    """Why a public URL does not answer, by service; empty where it does. One that had not answered the last time is asked once.

    Args:
        deadline: by `time.monotonic`; whatever takes longer has no answer.
    """
    if not plan.setting.engine.shares_namespaces:
        return {}  # a server of ours stands before them, and is a service itself
    services = [service for service in plan.services.values() if service.exposed is not None]
    faults = {service.name: f"no answer within {PERIOD + PATIENCE:g} s" for service in services}
    until = min(time.monotonic() + PERIOD + PATIENCE, deadline)

    def ask(service: ServicePlan) -> None:
        known = record.services.get(service.name)
        period = 0 if known is not None and known.public_fault else min(PERIOD, until - time.monotonic())
        faults[service.name] = _fault(service, period)

    # A resolver of names that is dead has a patience of its own, and nothing ends it.
    threads = [threading.Thread(target=ask, args=(service,), daemon=True) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return dict(faults)


def with_public_faults(record: Record, faults: Mapping[str, str]) -> Record:
    services = {name: replace(service, public_fault=faults.get(name, "")) for name, service in record.services.items()}
    return replace(record, services=services)


def sentences(record: Record) -> Iterator[str]:
    """A line for each that does not answer."""
    for name, service in record.services.items():
        if service.public_fault:
            yield f"{name}: its public URL {service.public_url} does not answer yet: {service.public_fault}"


def _fault(service: ServicePlan, period: float) -> str:
    """The same of one service, asked for *period* seconds."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential  # few have one

    assert service.exposed is not None
    port = next((port.name for port in service.ports if port.number == service.exposed.port), "")
    host, outside = service.outside.get("host"), service.endpoints.get(port)
    own = f"http://{host}:{outside}{service.exposed.path.rstrip('/')}" if host and outside else ""
    attempts = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(max(period, 0)),
        wait=wait_exponential(0.25, max=1),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    return str(attempts(fault, service.exposed, own))


def fault(exposed: Exposed, own: str) -> str:
    """Asks the URL once.

    Args:
        own: where this machine reaches the service itself: only that tells a controller's 404 from the program's.
    """
    import requests

    try:
        answer = _answer(exposed.url)
    except (requests.RequestException, ValueError) as error:
        return _reason(error, exposed.host)
    status = answer[0]
    if status != 404 and status < 500:
        return ""
    try:
        itself = _answer(own, exposed.host) if own else None
    except (requests.RequestException, ValueError):
        itself = None
    if itself == answer:
        return ""
    return f"{status} from the controller" + (f"; the service itself answers {itself[0]}" if itself else "")


def _answer(url: str, host: str = "") -> Answer:
    """Status, type and beginning of what is answered; without the credentials that somebody may have for such a host."""
    import requests

    headers = {"User-Agent": "envctl", **({"Host": host} if host else {})}
    with requests.get(
        url, headers=headers, auth=lambda request: request, allow_redirects=False, timeout=PATIENCE, stream=True
    ) as answer:  # fmt: skip
        return answer.status_code, answer.headers.get("Content-Type", ""), next(answer.iter_content(COMPARED), b"")


def _reason(error: Exception, host: str) -> str:
    """What is at the bottom of an error of requests."""
    root: Any = error
    while True:
        inner = getattr(root, "reason", None)
        inner = inner if isinstance(inner, Exception) else root.__cause__ or next((a for a in root.args if isinstance(a, Exception)), None)
        if inner is None or inner is root:
            break
        root = inner
    if isinstance(root, socket.gaierror):
        return f"DNS does not resolve {host} here"
    if isinstance(root, ConnectionRefusedError):
        return "connection refused"
    if isinstance(root, ssl.SSLCertVerificationError):
        return f"its certificate: {root.verify_message}"
    if "timed out" in str(root):
        return f"no answer within {PATIENCE:g} s"
    return str(getattr(root, "strerror", None) or root) or type(root).__name__
