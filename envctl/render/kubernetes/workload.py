"""What runs a service's pod: a Deployment, or a Job for what runs once.

For plain `kubectl apply`, init containers keep the order of starting, which `up` keeps itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envctl.plan.model import ServicePlan
from envctl.render.kubernetes.pods import Made, made_pod
from envctl.render.kubernetes.rendering import Rendering, selector
from envctl.render.kubernetes.templates import Object


def workload(rendering: Rendering, service: ServicePlan) -> tuple[Object, Made]:
    made = made_pod(rendering, service, waits(rendering, service))
    meta, pod = rendering.metadata(service.host, service), made.pod
    if listens_when_done(rendering, service):
        pod = _job_that_listens(rendering, pod)
    elif service.once:
        return rendering.templates.render("job", metadata=meta, pod=pod), made
    selected = selector(rendering.plan, service)
    return rendering.templates.render("deployment", metadata=meta, pod=pod, replicas=service.replicas, selector=selected), made


def _job_that_listens(rendering: Rendering, pod: Object) -> Object:
    """The job as the last init container. Pods of a Deployment always restart, so a job that fails is tried again."""
    spec = pod["spec"]
    spec = {**spec, "initContainers": [*spec.get("initContainers", []), *spec["containers"]], "restartPolicy": "Always"}
    return {**pod, "spec": {**spec, "containers": [done_container(rendering)]}}


def once(rendering: Rendering, service: ServicePlan, argv: Sequence[str], name: str) -> Object:
    """A Job that runs *argv* with everything that *service* has."""
    made = made_pod(rendering, service, argv=argv)
    return rendering.templates.render("job", metadata=rendering.metadata(name, service, once=True), pod=made.pod)


DONE_PORT = 15098
"""On which a job's pod says that the job is done."""
_WAIT = """\
import socket, sys, time
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    print("waiting for", place, flush=True)
    while True:
        try:
            socket.create_connection((host, int(port)), 2).close()
            break
        except OSError:
            time.sleep(0.25)
"""
_DONE = """\
import socket, sys
both = socket.has_dualstack_ipv6()
with socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both) as server:
    print("the job is done", flush=True)
    while True:
        server.accept()[0].close()
"""


def waits(rendering: Rendering, service: ServicePlan) -> list[Object]:
    """One init container that waits for all that *service* needs: a Service without a ready pod refuses connections."""
    ports = {other.host: DONE_PORT if other.once else other.ports[0].number for other in _awaited(rendering, service) if _listens(other)}
    if not rendering.options.standalone or not ports:
        return []
    command = ["python3", "-c", _WAIT, *(f"{host}:{port}" for host, port in ports.items())]
    return [rendering.container("envctl-wait", rendering.python, command=command)]


def _awaited(rendering: Rendering, service: ServicePlan) -> Iterator[ServicePlan]:
    """The services whose end or readiness it needs."""
    others = ((rendering.plan.services.get(name), condition) for name, condition in service.needs.items())
    yield from (other for other, condition in others if other is not None and condition != "started")


def _listens(other: ServicePlan) -> bool:
    return other.once or bool(other.ports)


def not_awaited(rendering: Rendering, service: ServicePlan) -> Iterator[str]:
    """What it needs ready and cannot wait for: nothing listens there."""
    yield from (other.name for other in _awaited(rendering, service) if not _listens(other))


def listens_when_done(rendering: Rendering, service: ServicePlan) -> bool:
    """Pods may not ask the API server about a job, so its own pod tells those that wait for it."""
    return rendering.options.standalone and service.once and rendering.needed(service)


def done_container(rendering: Rendering) -> Object:
    """Runs after the job itself, which is an init container then."""
    return rendering.container(
        "envctl-done",
        rendering.python,
        command=["python3", "-c", _DONE, str(DONE_PORT)],
        ports=[{"containerPort": DONE_PORT, "protocol": "TCP"}],
    )
