"""Render the workload of a service: a Deployment, or a Job for a service that runs once.

For plain `kubectl apply`, init containers wait for other services. `up` starts services in order itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envctl.plan.model import ServicePlan
from envctl.render.kubernetes.pods import Made, made_pod
from envctl.render.kubernetes.rendering import Rendering, selector
from envctl.render.kubernetes.templates import Object


def workload(rendering: Rendering, service: ServicePlan) -> tuple[Object, Made]:
    """Return the Deployment or Job of *service*, and the pod that was made for it."""
    made = made_pod(rendering, service, waits(rendering, service))
    meta, pod = rendering.metadata(service.host, service), made.pod
    if listens_when_done(rendering, service):
        pod = _job_that_listens(rendering, pod)
    elif service.once:
        return rendering.templates.render("job", metadata=meta, pod=pod), made
    selected = selector(rendering.plan, service)
    return rendering.templates.render("deployment", metadata=meta, pod=pod, replicas=service.replicas, selector=selected), made


def _job_that_listens(rendering: Rendering, pod: Object) -> Object:
    """Return a pod with the job as its last init container. A failed job is retried, because a Deployment's pods always restart."""
    spec = pod["spec"]
    spec = {**spec, "initContainers": [*spec.get("initContainers", []), *spec["containers"]], "restartPolicy": "Always"}
    return {**pod, "spec": {**spec, "containers": [done_container(rendering)]}}


def once(rendering: Rendering, service: ServicePlan, argv: Sequence[str], name: str) -> Object:
    """Return a Job that runs *argv* with the image, variables and files of *service*."""
    made = made_pod(rendering, service, argv=argv)
    return rendering.templates.render("job", metadata=rendering.metadata(name, service, once=True), pod=made.pod)


DONE_PORT = 15098
"""The port on which a job's pod accepts connections after the job is done."""
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
    """Return an init container that waits for the services that *service* needs, in a list, which is empty if none is needed.

    It waits until they accept connections: a Kubernetes Service without a ready pod refuses them.
    """
    ports = {other.host: DONE_PORT if other.once else other.ports[0].number for other in _awaited(rendering, service) if _listens(other)}
    if not rendering.options.standalone or not ports:
        return []
    command = ["python3", "-c", _WAIT, *(f"{host}:{port}" for host, port in ports.items())]
    return [rendering.container("envctl-wait", rendering.python, command=command)]


def _awaited(rendering: Rendering, service: ServicePlan) -> Iterator[ServicePlan]:
    """Yield the services whose end or readiness *service* needs."""
    others = ((rendering.plan.services.get(name), condition) for name, condition in service.needs.items())
    yield from (other for other, condition in others if other is not None and condition != "started")


def _listens(other: ServicePlan) -> bool:
    return other.once or bool(other.ports)


def not_awaited(rendering: Rendering, service: ServicePlan) -> Iterator[str]:
    """Yield the names of services that must be ready first but that a pod cannot wait for, because they listen on no port."""
    yield from (other.name for other in _awaited(rendering, service) if not _listens(other))


def listens_when_done(rendering: Rendering, service: ServicePlan) -> bool:
    """Return whether the job's pod listens on a port after the job is done.

    Pods may not ask the API server about a job, so this port tells other pods that the job is done.
    """
    return rendering.options.standalone and service.once and rendering.needed(service)


def done_container(rendering: Rendering) -> Object:
    """Return the container that accepts connections after the job, which is an init container in this case, is done."""
    return rendering.container(
        "envctl-done",
        rendering.python,
        command=["python3", "-c", _DONE, str(DONE_PORT)],
        ports=[{"containerPort": DONE_PORT, "protocol": "TCP"}],
    )
