"""What Kubernetes cannot express of a definition, or has otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from envctl.plan.model import ServicePlan
from envctl.plan.views import LOOPBACK
from envctl.render.kubernetes import ordering, probes
from envctl.render.kubernetes.composed import composed_losses
from envctl.render.kubernetes.files import Filed
from envctl.render.kubernetes.pods import NOBODY, user_is_known
from envctl.render.kubernetes.rendering import Rendering


def losses(rendering: Rendering, files: Mapping[str, Filed], keys: Mapping[str, str]) -> Iterator[str]:
    """*files* by service; *keys* of a Secret that somebody else makes, and what each holds."""
    plan, options = rendering.plan, rendering.options
    yield from plan.losses
    for service in plan.services.values():
        yield from (f"{service.name}: {loss}" for loss in _service(rendering, service, files[service.name]))
    for name, url in plan.used.items():
        if urlsplit(url).hostname in LOOPBACK:
            yield f"{name}: it runs on the machine of the tests ({urlsplit(url).netloc.rpartition('@')[2]}), which no pod can reach"
    if plan.compose_extra.get("networks"):
        yield f"networks of the Compose file ({', '.join(plan.compose_extra['networks'])}): its services reach each other on one"
    if not options.standalone:
        yield "a client that closes its sending half: no port forward passes that on, so the server sees the end with the connection's"
    if options.cluster.quota and plan.setting.shared:
        yield f"the quota of envctl.toml: in {options.namespace} it would bind everybody else, too"
    if options.existing_secret:
        yield from (f"the Secret {options.existing_secret} must have the key {key}: {what}" for key, what in sorted(keys.items()))


def _service(rendering: Rendering, service: ServicePlan, files: Filed) -> Iterator[str]:
    plan = rendering.plan
    if rendering.options.standalone:
        yield from _alone(rendering, service)
        for entry in files.large:
            yield f"{entry.path} is too large for plain `kubectl apply`; `kubectl apply --server-side` takes it"
    if left := probes.left_out(service):
        yield f"its readiness ({', '.join(left)}), which the kubelet cannot ask"
    if not user_is_known(service):
        yield f"its image's user is not known: it runs as {NOBODY}; `kubernetes:` can name another in its securityContext"
    if service.tester:
        yield "it refers to the machine of the tests, which no pod can reach"
    if service.build is not None and rendering.options.standalone and rendering.options.registry is None:
        yield f"the image {service.image} is built here; `--registry` names the registry that the cluster pulls it from"
    if service.build is None and ":" not in service.image.rpartition("/")[2] and "@" not in service.image:
        yield f"the image {service.image} has no tag, so it is what `latest` is on that day"
    if service.from_compose and rendering.plan.setting.shared:
        yield f"its Compose file knows others by their own names, and in {rendering.options.namespace} they have longer ones"
    if service.data:
        yield "its data goes with its pod: nothing outlives the instance, nor a pod that is replaced"
    yield from composed_losses(plan, service)
    yield from service.losses
    yield from (f"`{key}`, which this version does not act on yet" for key in service.later)


def _alone(rendering: Rendering, service: ServicePlan) -> Iterator[str]:
    """What `up` does and plain kubectl does not."""
    if service.steps:
        yield f"its {len(service.steps)} seed steps; plain kubectl starts it empty, `envctl up` seeds it"
    if service.setup:
        yield f"what envctl sets up once it is ready ({service.setup[0][0][0]} ...)"
    for other in ordering.not_awaited(rendering, service):
        yield f"it needs {other}, which listens on no port, so nothing waits for it"
    if ordering.listens_when_done(rendering, service):
        yield "a Deployment whose init container is the job, so that others can wait for its end; one that fails is tried again"
