"""Render a plan as a Compose project, as data; `compose_text` writes it. `up` runs this same project."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from envctl.definition.amounts import size_text
from envctl.definition.compose_networks import only_internal
from envctl.definition.source import map_texts
from envctl.instance.labels import BUILD, ENVIRONMENT, FILES, INSTANCE, KEY, NAME, OWNER, PROJECT, SERVICE
from envctl.plan.model import File, Limits, Plan, Requested, ServicePlan
from envctl.render.guessable_passwords import given_away
from envctl.render.losses import grouped
from envctl.render.merging import merged

INTERVAL = "1s"
"""The interval of health checks in a file for `docker compose up`. Under `up`, envctl's own checks decide, so QUIET_INTERVAL is enough."""
QUIET_INTERVAL = "15s"
OWN_VOLUME = "data"


@dataclass(frozen=True)
class Rendered:
    """A Compose document, the binary files to write beside it (by their path there), and descriptions of what Compose does not support."""

    document: Mapping[str, Any]
    binaries: Mapping[str, File] = field(default_factory=dict)
    losses: tuple[str, ...] = ()


def render_compose(plan: Plan, *, standalone: bool) -> Rendered:
    """Return the Compose project of *plan*.

    Args:
        standalone: whether the project is for plain `docker compose up --wait`. If so, the engine chooses the ports except those that
            services inside must know, Compose builds the images, text files are `configs`, and binary files are bind mounts.
            Otherwise the project is for `up`, which does these things itself: copying one archive into a created container takes
            60 ms, and each of Compose's configs would take as long.
    """
    configs: dict[str, Any] = {}
    binaries: dict[str, File] = {}
    services = {service.name: _service(plan, service, configs, binaries, standalone) for service in plan.services.values()}
    document: dict[str, Any] = {"name": plan.setting.id, "services": services, "networks": _networks(plan)}
    document |= {"volumes": _volumes(plan), "configs": configs | dict(plan.compose_extra.get("configs", {}))}
    if plan.compose_extra.get("secrets"):
        document["secrets"] = plan.compose_extra["secrets"]
    document = {key: value for key, value in document.items() if value}
    return Rendered(document, binaries if standalone else {}, grouped(_losses(plan), plan.services))


def labels(plan: Plan) -> dict[str, str]:
    """Return the labels that identify the plan's instance."""
    setting = plan.setting
    return {
        NAME: setting.name,
        INSTANCE: setting.id,
        PROJECT: str(setting.project),
        OWNER: setting.owner,
        ENVIRONMENT: setting.environment,
        KEY: setting.key,
    }


def _service(plan: Plan, service: ServicePlan, configs: dict[str, Any], binaries: dict[str, File], standalone: bool) -> dict[str, Any]:
    fragment = {key: value for key, value in service.compose.items() if key not in ("healthcheck", "ports")} if service.from_compose else {}
    own: dict[str, Any] = {"image": service.image, "labels": _own_labels(plan, service), "init": True}
    if service.build is not None and standalone:
        own |= {"build": build_entry(service), "pull_policy": "build"}
    if environment := {**escaped(service.env), **dict.fromkeys(service.unset)}:
        own["environment"] = environment
    own |= {"entrypoint": escaped(entrypoint)} if (entrypoint := service.run or service.entrypoint) else {}
    if service.command or service.run:
        own["command"] = escaped(service.command)
    own |= {"user": f"{service.user}:{service.user}"} if service.user is not None else {}
    own |= {"ports": _ports(plan, service, standalone)} if service.ports else {}
    own |= {"depends_on": _depends_on(plan, service)} if service.needs else {}
    own |= {"healthcheck": _healthcheck(service, standalone)} if _check(service) or _given_check(service) else {}
    own |= {"stop_grace_period": f"{max(service.stop, 1):g}s"}
    own |= {"extra_hosts": hosts} if (hosts := extra_hosts(plan, service)) else {}
    own |= {"scale": service.replicas} if service.replicas > 1 else {}
    own |= _resources(service)
    if volumes := _mounts(service, binaries, standalone):
        own["volumes"] = volumes
    if standalone and (mounted := _configs(service, configs)):
        own["configs"] = mounted
    if (networks := joined_networks(plan)) and not service.from_compose:
        own["networks"] = networks
    if service.from_compose:
        return merged(fragment, {key: value for key, value in own.items() if key not in ("init", "stop_grace_period")})
    return merged(own, {key: _mapped(value) if key in MAPS else value for key, value in service.compose.items()})


def extra_hosts(plan: Plan, service: ServicePlan) -> list[str]:
    """Return entries of `extra_hosts` for names of this machine: for the tests, and for services that run as local processes."""
    gateway = (sys.platform == "linux" and plan.setting.allocation.gateway) or "host-gateway"
    local = [f"{name}:{gateway}" for name in sorted(plan.setting.local)]
    return [*(["host.docker.internal:host-gateway"] if service.tester else []), *local]


MAPS = ("environment", "labels")
"""Keys of a service whose value may also be a list of NAME=VALUE."""


def _mapped(value: Any) -> Any:
    return dict(str(item).partition("=")[::2] for item in value) if isinstance(value, list) else value


def _own_labels(plan: Plan, service: ServicePlan) -> dict[str, str]:
    return {**escaped(labels(plan)), **service.labels, SERVICE: service.name, **({FILES: files_hash(service)} if service.files else {})}


def files_hash(service: ServicePlan) -> str:
    """Return a hash of the service's files. Compose does not compare them, so this label makes it recreate a container for new files."""
    digest = hashlib.sha256()
    for path, file in service.files.items():
        with file.open() as stream:
            digest.update(path.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def build_entry(service: ServicePlan) -> dict[str, Any]:
    """Return Compose's `build:` with the label by which `gc` recognises images that envctl built."""
    assert service.build is not None
    given = service.build.build.model_dump(mode="json", exclude_none=True)
    own = {
        "context": str(service.build.context),
        "labels": {**_mapped(given.get("labels") or {}), BUILD: service.build.content or service.image},
    }
    found: dict[str, Any] = escaped({**{key: value for key, value in given.items() if value}, **own})
    return found


def _ports(plan: Plan, service: ServicePlan, standalone: bool) -> list[dict[str, Any]]:
    """Return the ports in Compose's long form. With replicas, each port is published as a range, and each replica takes one port of it."""
    found = []
    for port in service.ports:
        entry: dict[str, Any] = {"target": port.number, "host_ip": plan.setting.addresses.publish_on, "protocol": "tcp", "mode": "host"}
        if port.outside is not None and (port.reserved or not standalone):
            last = port.outside + service.replicas - 1
            entry["published"] = f"{port.outside}-{last}" if service.replicas > 1 else str(port.outside)
        found.append(entry)
    return found


def _depends_on(plan: Plan, service: ServicePlan) -> dict[str, Any]:
    return {
        other: {"condition": _condition(plan.services[other], condition)}
        for other, condition in service.needs.items()
        if other in plan.services
    }


def _condition(other: ServicePlan, condition: str) -> str:
    if condition == "done":
        return "service_completed_successfully"
    return "service_started" if condition == "started" or not _check(other) else "service_healthy"


def _check(service: ServicePlan) -> bool:
    given = _given_check(service)
    return not given.get("disable") if given else bool(service.healthcheck) and not _guessed(service)


def _given_check(service: ServicePlan) -> dict[str, Any]:
    return dict(service.compose.get("healthcheck") or {}) if service.from_compose else {}


def _guessed(service: ServicePlan) -> bool:
    """Return whether the readiness check is only guessed. Such a check must not replace a health check of the image."""
    return bool(service.checks) and all("patience" in check.options for check in service.checks)


def _healthcheck(service: ServicePlan, standalone: bool) -> dict[str, Any]:
    if given := _given_check(service):
        return given
    interval = INTERVAL if standalone else QUIET_INTERVAL
    retries = max(3, round(service.ready_timeout)) if standalone else 3
    return {"test": escaped(service.healthcheck), "interval": interval, "timeout": "5s", "retries": retries}


def _resources(service: ServicePlan) -> dict[str, Any]:
    given = service.resources
    if given is None:
        return {}
    found = {"limits": _amounts(given), "reservations": _amounts(given.requests)}
    return {"deploy": {"resources": {key: value for key, value in found.items() if value}}}


def _amounts(given: Limits | Requested) -> dict[str, str]:
    found = {"cpus": given.cpu and str(given.cpu), "memory": given.memory and size_text(given.memory)}
    return {key: value for key, value in found.items() if value}


def _mounts(service: ServicePlan, binaries: dict[str, File], standalone: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if service.data is not None:
        found.append({"type": "volume", "source": f"{service.name}-{OWN_VOLUME}", "target": service.data})
    for path, file in service.files.items():
        if standalone and file.text is None:
            beside = f"files/{service.name}/{path.strip('/')}"
            binaries[beside] = file
            found.append({"type": "bind", "source": escaped(f"./{beside}"), "target": escaped(path), "read_only": True})
    return found


def _configs(service: ServicePlan, configs: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for path, file in service.files.items():
        if file.text is not None:
            name = "text-" + hashlib.sha256(file.text.encode()).hexdigest()[:12]
            configs[name] = {"content": escaped(file.text)}
            found.append({"source": name, "target": escaped(path)})
    return found


def joined_networks(plan: Plan) -> dict[str, Any]:
    """Return the networks of services that are not from the Compose file: all networks that the Compose file's services use.

    So the two groups of services can reach each other. If all these networks are internal, the default network is added, because Docker
    publishes no ports on internal networks.
    """
    composed = [service.compose for service in plan.services.values() if service.from_compose and "network_mode" not in service.compose]
    named = {name: None for given in composed for name in given.get("networks") or {"default": None}}
    if only_internal(named, plan.compose_extra.get("networks", {}), plan.setting.addresses.internal):
        named["default"] = None
    return named if set(named) - {"default"} else {}


def _networks(plan: Plan) -> dict[str, Any]:
    default: dict[str, Any] = {"name": plan.setting.id, "labels": escaped(labels(plan))}
    if subnet := plan.setting.allocation.subnet:
        default["ipam"] = {"config": [{"subnet": subnet}]}
    found = _composed(plan, "networks")
    joined = joined_networks(plan)
    needs_default = any(
        "default" in (service.compose.get("networks") or ({} if service.from_compose else joined) or {"default"})
        and not service.compose.get("network_mode")
        for service in plan.services.values()
    )
    if found.get("default", {}).get("external"):
        return found
    if "default" in found:
        found["default"] = merged(default, {k: v for k, v in found["default"].items() if k not in ("name", "labels")})
    elif needs_default:
        found["default"] = default
    return found


def _volumes(plan: Plan) -> dict[str, Any]:
    marks = escaped(labels(plan))
    own = {f"{s.name}-{OWN_VOLUME}": {"labels": {**marks, SERVICE: s.name}} for s in plan.services.values() if s.data}
    return own | _composed(plan, "volumes")


def _composed(plan: Plan, what: str) -> dict[str, Any]:
    """Return the Compose file's networks or volumes (*what*), named after the instance. External ones keep their names."""
    found = {}
    for name, given in plan.compose_extra.get(what, {}).items():
        own = {"name": f"{plan.setting.id}_{name}", "labels": escaped(labels(plan))}
        found[name] = given if given and given.get("external") else merged(given or {}, own)
    return found


def escaped(value: Any) -> Any:
    """Return *value* with each `$` doubled, except in keys, because Compose interpolates variables in all texts of its file."""
    return map_texts(lambda text: text.replace("$", "$$"), value)


def _losses(plan: Plan) -> Iterator[str]:
    yield from plan.losses
    if unset := [name for name in plan.compose_variables if name not in plan.setting.environ]:
        yield f"secrets and configs of the variables {', '.join(unset)}: the `.env` that has them is not beside this file"
    yield from given_away(plan)
    for service in plan.services.values():
        name = service.name
        if service.once and not any(name in other.needs for other in plan.services.values()):
            yield f"{name}: no service needs this job, and `docker compose up --wait` treats the end of such a container as a failure"
        if service.steps:
            yield f"{name}: its seeds are not loaded: plain Compose starts it empty, `envctl up` seeds it"
        if service.sets_up:
            yield f"{name}: what envctl sets up once it is ready ({service.sets_up_by} ...)"
        if service.from_compose and all(check.probe == "health" or "patience" in check.options for check in service.checks):
            pass  # as Compose has it
        elif service.healthcheck_loss and service.checks:
            yield f"{name}: its readiness ({service.healthcheck_loss}); services that need it start as soon as it has started"
        elif service.checks and not _check(service) and not service.once:
            yield f"{name}: its readiness ({', '.join(c.probe for c in service.checks)}), which no program in an image can check"
        elif service.unexpressed:
            yield f"{name}: a part of its readiness ({', '.join(service.unexpressed)}), which no program in an image can check"
        if any(file.text is None for file in service.files.values()):
            yield f"{name}: binary or executable files are bind mounts here; `up` copies them into the container"
        if service.resources is not None and (service.resources.storage or service.resources.requests.storage):
            yield f"{name}: `resources.storage`, which Docker does not limit"
        if not service.from_compose and ":" not in service.image.rpartition("/")[2] and "@" not in service.image:
            yield f"{name}: the image {service.image} has no tag, so it is whatever `latest` is at that time"
        if "public_url" in service.outside and service.exposed is None:
            yield f"{name}: a URL for browsers of other machines; here it is its published port"
        yield from (f"{name}: {loss}" for loss in service.losses if not service.from_compose)
        yield from (f"{name}: `{key}`, which this version does not support yet" for key in service.later)


def compose_text(rendered: Rendered) -> str:
    """Return the project as text for Compose, in JSON: it is valid YAML, and PyYAML's writer is fifty times slower."""
    return json.dumps(rendered.document, ensure_ascii=False, indent=1)


def compose_yaml(rendered: Rendered) -> str:
    """Return the project as YAML for people to read."""
    from envctl.render.yaml_text import yaml_text

    return yaml_text(rendered.document)
