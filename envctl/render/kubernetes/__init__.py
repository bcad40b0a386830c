"""Render a plan as Kubernetes objects, as data: `render_kubernetes` for all objects, `once_job` for one command of a seed step.

`up` applies these same objects, service by service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from envctl.errors import UsageError
from envctl.instance.labels import ENVIRONMENT, EXPIRES, KEY, OWNER, PROJECT
from envctl.plan.addressing import dns_label
from envctl.plan.model import Plan, ServicePlan
from envctl.plan.views import LOOPBACK
from envctl.render.guessable_passwords import given_away
from envctl.render.kubernetes import exec_agent, exposing, network, probes
from envctl.render.kubernetes.composed import aliases, composed_losses, kept_apart
from envctl.render.kubernetes.extra_objects import added, labelled, names, renamed
from envctl.render.kubernetes.files import Filed, config_maps
from envctl.render.kubernetes.pods import NOBODY, Made, facts, gated, known_user, numbers, pushed_image
from envctl.render.kubernetes.rendering import Options, Rendering, common_name, labels, selector
from envctl.render.kubernetes.secrets import vault_of
from envctl.render.kubernetes.templates import Object, Templates
from envctl.render.kubernetes.workload import DONE_PORT, listens_when_done, not_awaited, once, workload
from envctl.render.losses import grouped
from envctl.render.merging import merged
from envctl.render.yaml_text import yaml_text

__all__ = ["Manifests", "Options", "known_user", "manifests_yaml", "once_job", "pushed_image", "render_kubernetes"]


SMALL = {"cpu": "10m", "memory": "24Mi", "ephemeral-storage": "64Mi"}
"""The requests of a container that sets none. Without them, Kubernetes would request as much as the limits."""


class Parts(NamedTuple):
    """The objects of one service: what its pod needs, and the workload that creates the pod."""

    objects: tuple[Object, ...]
    workload: tuple[Object, ...]
    added: tuple[Object, ...] = ()
    """The objects in `objects` that the definition itself contains."""


class Manifests(NamedTuple):
    """The objects of a plan: those of the instance, those of each service, and descriptions of what is not supported here."""

    common: tuple[Object, ...]
    services: Mapping[str, Parts]
    losses: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Facts for users that are no losses."""

    def everything(self) -> tuple[Object, ...]:
        """Return all objects in an order for `kubectl apply`: an object comes after the objects that it refers to."""
        objects = [each for parts in self.services.values() for each in parts.objects]
        return (*self.common, *objects, *(each for parts in self.services.values() for each in parts.workload))


def render_kubernetes(plan: Plan, options: Options) -> Manifests:
    """Return the objects of *plan*.

    Raises:
        UsageError: a file is too large, or two objects would have the same name.
        DefinitionError: a template is wrong.
    """
    rendering = _rendering(plan, options)
    made: dict[str, Made] = {}
    services: dict[str, Parts] = {}
    for service in plan.services.values():
        services[service.name], made[service.name] = _parts(rendering, service)
    losses = grouped(_losses(rendering, made), rendering.plan.services)
    found = Manifests(tuple(_common(rendering)), services, losses, tuple(_notes(plan)))
    _check_names(found)
    return found


def once_job(plan: Plan, service: ServicePlan, argv: Sequence[str], name: str, options: Options) -> Object:
    """Return a Job that runs *argv* once, with the image, environment, files and network of *service*.

    The other objects of the service must exist already.
    """
    return once(_rendering(plan, options._replace(standalone=False)), service, argv, name)


def manifests_yaml(manifests: Manifests) -> str:
    """Return *manifests* as YAML for `kubectl apply -f`."""
    return "".join(yaml_text(each, separated=True) for each in manifests.everything())


def _rendering(plan: Plan, options: Options) -> Rendering:
    later: dict[str, tuple[str, ...]] = {}
    for step in (step for service in plan.services.values() for step in service.steps if step.step.runs_in):
        later[str(step.step.in_)] = (*later.get(str(step.step.in_), ()), *step.command, *(step.env or {}).values())
    return Rendering(plan, options, vault_of(plan), Templates(plan.setting.project), network.readers(plan), later)


def _common(rendering: Rendering) -> Iterator[Object]:
    plan, options, render = rendering.plan, rendering.options, rendering.templates.render
    if not plan.setting.shared:
        # Annotations, because these values can change or contain characters that labels do not allow.
        told = {
            PROJECT: plan.setting.checkout or str(plan.setting.project),
            OWNER: plan.setting.owner,
            ENVIRONMENT: plan.setting.environment,
            KEY: plan.setting.key,
        }
        told |= {EXPIRES: options.expires} if options.expires else {}
        told = {**options.cluster.annotations, **told}
        yield render("namespace", namespace=options.namespace, labels=labels(plan, options), annotations=told)
    yield render("serviceaccount", metadata=rendering.metadata(rendering.account))
    if options.cluster.quota and not plan.setting.shared:  # In a shared namespace, the quota would apply to other users too.
        yield render("resourcequota", metadata=rendering.metadata(common_name(plan, "quota")), hard=dict(options.cluster.quota))
    if options.cluster.limits and not plan.setting.shared:
        metadata, most = rendering.metadata(common_name(plan, "limits")), dict(options.cluster.limits)
        yield render("limitrange", metadata=metadata, most=most, requested={**most, **{key: SMALL[key] for key in SMALL if key in most}})
    yield from network.common(rendering)


def _parts(rendering: Rendering, service: ServicePlan) -> tuple[Parts, Made]:
    running, made = workload(rendering, service)
    raw = service.kubernetes
    if isinstance(raw, Mapping) and raw:
        running = _merged(running, renamed(raw, names(rendering.plan)))
    more = added(rendering, service)
    public = tuple(exposing.objects(rendering, service))
    objects = [*_contents(rendering, service, made), *network.policies(rendering, service)]
    return Parts((*objects, *_service(rendering, service), *public, *more), (running,), more), made


def _contents(rendering: Rendering, service: ServicePlan, made: Made) -> Iterator[Object]:
    """Yield the Secret and the ConfigMaps that the service's pod refers to."""
    if made.drawer.held and rendering.options.existing_secret is None:
        yield rendering.templates.render("secret", metadata=rendering.metadata(made.drawer.secret, service), data=made.drawer.data())
    for name, texts, binaries in config_maps(made.files):
        yield rendering.templates.render("configmap", metadata=rendering.metadata(name, service), data=texts, binary=binaries)
    yield from exec_agent.config_map(rendering, service)


def _service(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    ports_by_number = {port.number: port.name for port in reversed(service.ports)}
    names: dict[int, str] = {}
    for number in numbers(service):
        name = dns_label(ports_by_number[number])
        names[number] = name if name not in names.values() else dns_label(name, str(number))
    if listens_when_done(rendering, service):
        names[DONE_PORT] = "envctl-done"
    ports = [{"name": name, "port": number, "targetPort": number, "protocol": "TCP"} for number, name in names.items()]
    if ports or service.from_compose:
        for name in (service.host, *([] if rendering.plan.setting.shared else aliases(service))):
            meta, selected = rendering.metadata(name, service), selector(rendering.plan, service)
            early = not rendering.options.standalone and not gated(rendering, service)
            yield rendering.templates.render(
                "service", metadata=meta, ports=ports, selector=selected, headless=service.from_compose, early=early
            )


def _merged(below: Object, raw: Mapping[str, object]) -> Object:
    """Return *below* with the fragment *raw* merged into it. The labels that select the object and its pods stay."""
    found = merged(below, raw)
    found["metadata"] = labelled(found["metadata"], below["metadata"])
    template = found["spec"]["template"]
    template["metadata"] = labelled(template["metadata"], below["spec"]["template"]["metadata"])
    return found


def _check_names(found: Manifests) -> None:
    seen: dict[tuple[str, str], str] = {}
    for each in found.everything():
        key = (each["kind"], each["metadata"]["name"])
        owner = each["metadata"].get("labels", {}).get("app.kubernetes.io/component", "the instance")
        if key in seen:
            raise UsageError(
                f"{seen[key]} and {owner} would both have the {key[0]} {key[1]}",
                hint="names on Kubernetes have only lower-case letters, digits and hyphens; rename one of them",
            )
        seen[key] = owner


def _losses(rendering: Rendering, made: Mapping[str, Made]) -> Iterator[str]:
    plan, options = rendering.plan, rendering.options
    yield from plan.losses
    for service in plan.services.values():
        yield from (f"{service.name}: {loss}" for loss in _losses_of(rendering, service, made[service.name].files))
    for name, url in plan.used.items():
        if urlsplit(url).hostname in LOOPBACK:
            yield f"{name}: it runs on the machine of the tests ({urlsplit(url).netloc.rpartition('@')[2]}), which no pod can reach"
    external = [name for name, given in plan.compose_extra.get("networks", {}).items() if (given or {}).get("external")]
    if apart := kept_apart(plan.services.values()) or external:
        yield f"networks of the Compose file ({', '.join(apart)}): its services reach each other on one"
    if not options.standalone:
        yield (
            "a client that closes only its sending side: a port forward does not pass that on, "
            "so the server sees the end of the input only when the connection ends"
        )
    if (options.cluster.quota or options.cluster.limits) and plan.setting.shared:
        yield f"quota and limits: in {options.namespace} it would apply to everybody else, too"
    if options.existing_secret:
        keys = {key: what for each in made.values() for key, (_, what) in each.drawer.held.items()}
        yield from (f"the Secret {options.existing_secret} must have the key {key}: {what}" for key, what in sorted(keys.items()))
    else:
        yield from given_away(plan)


def _notes(plan: Plan) -> Iterator[str]:
    for service in plan.services.values():
        if service.data:
            yield f"{service.name}: its data is lost with its pod: when the instance is removed, and when the pod is replaced"


def _losses_of(rendering: Rendering, service: ServicePlan, files: Filed) -> Iterator[str]:
    plan = rendering.plan
    if rendering.options.standalone:
        yield from _alone(rendering, service)
        for entry in files.large:
            yield f"{entry.path} is too large for plain `kubectl apply`; `kubectl apply --server-side` takes it"
    if left := probes.left_out(service):
        yield f"its readiness ({', '.join(left)}), which the kubelet cannot check"
    if known_user(service) is None and not rendering.options.cluster.users:
        yield f"its image's user is not known: it runs as {NOBODY}; `kubernetes:` can name another in its securityContext"
    known = facts(rendering, service).variables
    if unset := [name for name in service.unset if known is None or name in known]:
        yield f"variables without a value ({', '.join(unset)}): Compose removes them if the image sets them, but a pod cannot"
    if service.tester:
        yield "it refers to the machine of the tests, which no pod can reach"
    if service.build is not None and rendering.options.standalone and rendering.options.registry is None:
        yield f"the image {service.image} is built here; `--registry` names the registry that the cluster pulls it from"
    if service.build is None and ":" not in service.image.rpartition("/")[2] and "@" not in service.image:
        yield f"the image {service.image} has no tag, so it is whatever `latest` is at that time"
    if service.from_compose and rendering.plan.setting.shared:
        yield f"its Compose file has the short names of other services; in {rendering.options.namespace} they have longer ones"
    if "public_url" in service.outside and service.exposed is None:
        yield exposing.NO_DOMAIN
    yield from composed_losses(plan, service)
    yield from service.losses
    yield from (f"`{key}`, which this version does not support yet" for key in service.later)


def _alone(rendering: Rendering, service: ServicePlan) -> Iterator[str]:
    """Yield what `up` does and plain kubectl does not do."""
    if service.steps:
        yield "its seeds are not loaded: plain kubectl starts it empty, `envctl up` seeds it"
    if service.sets_up:
        yield f"what envctl sets up once it is ready ({service.sets_up_by} ...)"
    for other in not_awaited(rendering, service):
        yield f"it needs {other}, which listens on no port, so nothing waits for it"
    if listens_when_done(rendering, service):
        yield "a Deployment whose init container is the job, so that others can wait for its end; a job that fails runs again"
