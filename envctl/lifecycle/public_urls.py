"""Check public URLs on a cluster once everything is up: they depend on DNS, a controller and its network.

A URL that does not answer is reported and recorded, but is not a failure: DNS may need minutes, and this machine may be unable to reach
the URL.
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
"""Seconds for all attempts (a controller takes as long to notice a new URL), and seconds for one answer."""
COMPARED = 65_536
"""The number of bytes of an answer that are compared."""
Answer = tuple[int, str, bytes]


def public_faults(plan: Plan, record: Record, deadline: float) -> dict[str, str]:
    """Return the reason why a public URL does not answer, by service; empty if it does. A URL with a recorded fault gets one attempt.

    Args:
        deadline: on the clock of `time.monotonic`; a later answer does not count.
    """
    if not plan.setting.engine.shares_namespaces:
        return {}  # on other engines, envctl's own proxy serves public URLs, and is a service itself
    services = [service for service in plan.services.values() if service.exposed is not None]
    faults = {service.name: f"no answer within {PERIOD + PATIENCE:g} s" for service in services}
    until = min(time.monotonic() + PERIOD + PATIENCE, deadline)

    def ask(service: ServicePlan) -> None:
        known = record.services.get(service.name)
        period = 0 if known is not None and known.public_fault else min(PERIOD, until - time.monotonic())
        faults[service.name] = _fault(service, period)

    # A dead DNS resolver has its own timeout, and cannot be interrupted.
    threads = [threading.Thread(target=ask, args=(service,), daemon=True) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return dict(faults)


def with_public_faults(record: Record, faults: Mapping[str, str]) -> Record:
    """Return *record* with *faults*, service to the reason why its public URL does not answer."""
    services = {name: replace(service, public_fault=faults.get(name, "")) for name, service in record.services.items()}
    return replace(record, services=services)


def sentences(record: Record) -> Iterator[str]:
    """Yield a line for each public URL that does not answer."""
    for name, service in record.services.items():
        if service.public_fault:
            yield f"{name}: its public URL {service.public_url} does not answer yet: {service.public_fault}"


def _fault(service: ServicePlan, period: float) -> str:
    """Return the fault of one service's URL, after attempts for *period* seconds."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential  # few environments have a public URL

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
    """Request the URL once, and return its fault, or an empty text.

    Args:
        own: the service's own address on this machine, to distinguish a controller's 404 from that of the program.
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
    """Return status code, content type and the first bytes of an answer; credentials from .netrc are not sent."""
    import requests

    headers = {"User-Agent": "envctl", **({"Host": host} if host else {})}
    with requests.get(
        url, headers=headers, auth=lambda request: request, allow_redirects=False, timeout=PATIENCE, stream=True
    ) as answer:  # fmt: skip
        return answer.status_code, answer.headers.get("Content-Type", ""), next(answer.iter_content(COMPARED), b"")


def _reason(error: Exception, host: str) -> str:
    """Return the innermost cause of an error of requests."""
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
