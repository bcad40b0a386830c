"""What runs a service's pod: a Deployment, or a Job for what runs once."""

from __future__ import annotations

from collections.abc import Sequence

from envctl.instance.labels import FOR, ONCE, SERVICE
from envctl.plan.model import ServicePlan
from envctl.render.kubernetes import ordering
from envctl.render.kubernetes.objects import Object, label_value, selector
from envctl.render.kubernetes.pods import Made, Once, made_pod
from envctl.render.kubernetes.rendering import Rendering


def workload(rendering: Rendering, service: ServicePlan) -> tuple[Object, Made]:
    made = made_pod(rendering, service, ordering.waits(rendering, service))
    meta, pod = rendering.metadata(service.host, service), made.pod
    if ordering.listens_when_done(rendering, service):
        pod = _job_that_listens(rendering, pod)
    elif service.once:
        return rendering.templates.render("job", metadata=meta, pod=pod), made
    selected = selector(rendering.plan, service)
    return rendering.templates.render("deployment", metadata=meta, pod=pod, replicas=service.replicas, selector=selected), made


def _job_that_listens(rendering: Rendering, pod: Object) -> Object:
    """The job as the last init container. Pods of a Deployment always restart, so a job that fails is tried again."""
    spec = pod["spec"]
    spec = {**spec, "initContainers": [*spec.get("initContainers", []), *spec["containers"]], "restartPolicy": "Always"}
    return {**pod, "spec": {**spec, "containers": [ordering.done_container(rendering)]}}


def once(rendering: Rendering, service: ServicePlan, argv: Sequence[str], name: str) -> Object:
    """A Job that runs *argv* with everything that *service* has."""
    made = made_pod(rendering, service, once=Once(argv))
    meta = rendering.metadata(name, service)
    del meta["labels"][SERVICE]
    meta["labels"] |= {ONCE: "true", FOR: label_value(service.name)}
    return rendering.templates.render("job", metadata=meta, pod=made.pod)
