"""`--only`, `--stub`, `--use`, `--image`: a part of an environment, or other programs in place of some services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from envctl.definition.expressions import references
from envctl.definition.models import Definition, Service
from envctl.environment import Environment
from envctl.errors import UsageError, did_you_mean
from envctl.plan.model import Selection
from envctl.plan.reading import refers, texts


def select(environment: Environment, selection: Selection) -> Environment:
    """Return *environment* with the selection applied.

    Raises:
        UsageError: a service does not exist, or a URL is not valid.
    """
    services = dict(environment.definition.services)
    for option, names in (("--only", selection.only), ("--stub", selection.stub), ("--use", selection.use), ("--image", selection.image)):
        refuse_unknown(option, names, services)
    for name in selection.stub:
        services[name] = _stub(environment, name, services[name])
    for name, image in selection.image.items():
        services[name] = services[name].model_copy(update={"image": image, "build": None})
    for name, url in selection.use.items():
        if not _is_url(url):
            raise UsageError(f"--use {name}={url}: not a URL", hint=f"e.g. --use {name}=postgresql://user:password@127.0.0.1:5432/db")
    if selection.only:
        services = {name: services[name] for name in services if name in _closure(services, selection.only, selection.use)}
    definition = environment.definition.model_copy(update={"services": services})
    definition = _without(definition, set(environment.definition.services) - set(services))
    return replace(environment, definition=definition, used={k: v for k, v in selection.use.items() if k in services})


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def refuse_unknown(option: str, names: Iterable[str], services: Mapping[str, Service]) -> None:
    """Raise UsageError if *option* names a service that does not exist."""
    for name in names:
        if name not in services:
            raise UsageError(f"{option} {name}: there is no such service", hint=did_you_mean(name, list(services)))


def _stub(environment: Environment, name: str, service: Service) -> Service:
    """Return a stub on the same port, with the routes in `stubs/NAME.json` or `stubs/NAME/`."""
    folder = environment.loaded.folder / "stubs"
    routes = next((f"stubs/{path.name}" for path in (folder / f"{name}.json", folder / name) if path.exists()), None)
    port = service.port or next(iter(service.ports.values()), None)
    found: dict[str, object] = {"kind": "stub", "with": {"routes": routes} if routes else {}}
    found |= {"port": port} if port else {}
    if networks := service.compose.get("networks"):  # the service's other names on its networks must reach the stub
        found["compose"] = {"networks": networks}
    return Service.model_validate(found)


def _closure(services: Mapping[str, Service], wanted: Iterable[str], used: Mapping[str, str]) -> set[str]:
    """Return the wanted services and all services that they need."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in found or name not in services:
            continue
        found.add(name)
        if name not in used:
            waiting += needed_by(services[name], list(services))
    return found


def needed_by(service: Service, names: Sequence[str]) -> list[str]:
    """Return the services that the references, the `needs` and the seed steps of *service* name."""
    referred = [ref.root for ref in refers(service, names)]
    steps = [name for step in service.seed for name in (*step.needs, step.in_) if name in names]
    return [*referred, *(name for name, condition in service.needs.items() if condition != "none"), *(name for name in steps if name)]


def _without(definition: Definition, gone: set[str]) -> Definition:
    """Return *definition* without the outputs and tests that refer to services in *gone*."""
    if not gone:
        return definition
    outputs = definition.outputs and {key: text for key, text in definition.outputs.items() if not _refers(text, gone)}
    tests = {name: test for name, test in definition.tests.items() if not _refers(test.run, gone)}
    return definition.model_copy(update={"outputs": outputs, "tests": tests})


def _refers(value: object, gone: set[str]) -> bool:
    return any(ref.root in gone for text in texts(value) for ref in references(text, list(gone)))
