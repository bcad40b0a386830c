"""Make a Proposal from ProjectFindings: servers, stubs, services built from Dockerfiles, seed steps, outputs and tests."""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from envctl.definition.expressions import escape
from envctl.init.model import (
    ROOT,
    BuiltService,
    ExampleVariable,
    KeyValue,
    ListOfMaps,
    OneLine,
    ProjectFindings,
    Proposal,
    ProposedService,
    Scalar,
    TestCommand,
    path_from_environments,
)
from envctl.init.openapi import ready_path
from envctl.init.references import PLAIN_VARIABLES, References, is_listen_port, is_secret, plain_url, plain_value
from envctl.init.seed_steps import Step, seed_steps
from envctl.init.servers import USUAL_VARIABLES, NeededServer, needed_servers, proposed_servers
from envctl.init.test_frameworks import in_folder
from envctl.init.third_parties import ThirdParty, is_foreign, project_service, proposed_stub, stub_routes, third_parties

MAX_ENV = 60
FRONT = frozenset(["web", "frontend", "front", "ui", "client", "site", "gateway", "proxy"])
SHORTEST_MASKED = 8


def propose(findings: ProjectFindings, without: Collection[str] = ()) -> Proposal:
    """Return the environment that *findings* suggest. *without* contains names of services that the user does not want."""
    built = [service for service in findings.built_services if service.name not in without and not findings.compose_services]
    findings = replace(findings, built_services=tuple(built))
    servers = needed_servers(findings, without)
    names = {*(service.name for service in findings.compose_services), *(server.name for server in servers.values())}
    names |= {service.name for service in built}
    foreign = tuple(third_parties(findings, servers, names, without))
    notes = list(_notes_of_compose(findings, foreign))
    foreign = tuple(third for third in foreign if third.recorded or not findings.compose_services)
    references = References(findings, servers, foreign, {*names, *(third.name for third in foreign)})
    services = [
        *proposed_servers(servers),
        *map(proposed_stub, foreign),
        *(_proposed(service, references, built[number:]) for number, service in enumerate(built, 1)),
    ]
    outputs = tuple(_outputs(references))
    database, steps, more = seed_steps(findings, servers, outputs)
    return Proposal(
        name=findings.name,
        compose_file=findings.compose_file if findings.compose_services else None,
        compose_override=findings.compose_override,
        variables=tuple(_variables(references)),
        services=tuple(_with_seeds(services, database, steps)),
        outputs=outputs,
        tests=tuple(_test(test, outputs, findings) for test in findings.test_commands),
        notes=(*notes, *more),
        sqlite=findings.sqlite,
        files={third.routes: stub_routes(third) for third in foreign},
    )


def _notes_of_compose(findings: ProjectFindings, foreign: Sequence[ThirdParty]) -> Iterator[str]:
    """Yield a note for each third party without a stub. With a Compose file, stubs are not added: the file says what runs."""
    for third in [third for third in foreign if findings.compose_services and third.sure and not third.recorded]:
        names = ", ".join(third.variables) or third.because
        yield f"{names}: a third party. A service `{third.name}` of `kind: stub` could answer in its place."


def _proposed(service: BuiltService, references: References, later: Sequence[BuiltService]) -> ProposedService:
    """Return the proposed service for *service*.

    References to one of the *later* services must not make this service wait, because two services could then wait for each other.
    """
    if service.port is None:
        service = _with_usual_port(service, references.findings)
    env = list(_env(service, references))
    body = [_build(service)]
    if service.port:
        body += [KeyValue("port", service.port, service.port_because), *_ready(service, references.findings)]
    if env:
        body.append(KeyValue("env", tuple(env)))
    names = sorted(other.name for other in later)
    waiting = [name for name in names if any(f"${{{name}." in str(entry.value) for entry in env)]
    if waiting:
        body.append(KeyValue("needs", OneLine(dict.fromkeys(waiting, "none")), "they refer to each other"))
    title = "The code under test." if service.port else "Code under test that listens on no port; `ready: {log: REGEX}` says when it works."
    return ProposedService(service.name, "api" if service.port else "", title, str(service.dockerfile), tuple(body))


def _with_usual_port(service: BuiltService, findings: ProjectFindings) -> BuiltService:
    """Return *service* with the port that is the default of the variable from which its code reads its port."""
    for variable in _variables_of(service, findings):
        if is_listen_port(variable.name) and re.fullmatch(r"\d{2,5}", variable.value) and 0 < int(variable.value) < 65536:
            return service._replace(port=int(variable.value), port_because=f"{variable.file}: {variable.name}")
    return service


def _build(service: BuiltService) -> KeyValue:
    dockerfile = os.path.relpath(service.dockerfile, service.context)
    context = path_from_environments(service.context)
    if dockerfile == "Dockerfile":
        return KeyValue("build", context)
    return KeyValue("build", (KeyValue("context", context), KeyValue("dockerfile", dockerfile)))


def _ready(service: BuiltService, findings: ProjectFindings) -> Iterator[KeyValue]:
    """Yield the `ready` entry: the path in the Dockerfile or code, otherwise a path from an OpenAPI document.

    The document must be in the service's folder, unless the service is the only one.
    """
    path, because = service.ready, service.ready_because
    if not path:
        documents = [document for document in findings.openapi_documents if not is_foreign(document)]
        folder = service.dockerfile.parent
        near = [document for document in documents if folder != ROOT and document.file.is_relative_to(folder)]
        document = next(iter(near or (documents if len(findings.built_services) == 1 else [])), None)
        path, because = (ready_path(document), str(document.file)) if document else ("", "")
    if path:
        yield KeyValue("ready", OneLine({"http": path}), because)


def _env(service: BuiltService, references: References) -> Iterator[KeyValue]:
    variables = _variables_of(service, references.findings)
    referred_to: set[str] = set()
    for variable in variables[:MAX_ENV]:
        text = references.of(variable)
        if project_service(variable, references.findings) == service.name:
            text = re.sub(rf"\$\{{{re.escape(service.name)}\.", "${self.", text)
        plain = plain_value(variable, service.port is not None) if variable.origin == "example" else None
        entry = KeyValue(variable.name, text, str(variable.file)) if text else plain
        if entry is not None:
            referred_to |= set(re.findall(r"\$\{([\w-]+)", str(entry.value)))
            yield entry
    names = {variable.name for variable in variables}
    for server in references.servers.values():
        if server.name not in referred_to and server.sure and _is_used(server, service, references.findings):
            for entry in _usual_variables(server, "a guess: the name under which the code reads it"):
                if entry.key not in names:
                    names.add(entry.key)
                    yield entry


def _is_used(server: NeededServer, service: BuiltService, findings: ProjectFindings) -> bool:
    """Return whether *service* depends on a driver of *server*."""
    folder = service.dockerfile.parent if service.dockerfile.parent != ROOT else service.context
    return any(driver.kind == server.kind and driver.file.is_relative_to(folder) for driver in findings.drivers)


def _usual_variables(server: NeededServer, because: str) -> Iterator[KeyValue]:
    if server.has_kind:
        for key, prop in USUAL_VARIABLES.get(server.kind, {}).items():
            yield KeyValue(key, f"${{{server.name}.{prop}}}", because)
    elif url := plain_url(server):
        yield KeyValue(PLAIN_VARIABLES[server.kind], url, because)


def _variables_of(service: BuiltService, findings: ProjectFindings) -> list[ExampleVariable]:
    """Return the variables of *service*: those in the example file near its Dockerfile, and those that its code reads.

    The example file is taken from the folder of the Dockerfile, else from the build context, else from the parent folders.
    """
    folder = service.dockerfile.parent if service.dockerfile.parent != ROOT else service.context
    read = [variable for variable in findings.variables if variable.origin == "code" and variable.file.is_relative_to(folder)]
    for parent in (service.dockerfile.parent, service.context, *service.dockerfile.parent.parents):
        found = [variable for variable in findings.variables if variable.origin == "example" and variable.file.parent == parent]
        if found:
            found = [variable for variable in found if variable.file == found[0].file]  # others are for other set-ups
            names = {variable.name for variable in found}
            return [*found, *(variable for variable in read if variable.name not in names)]
    return read


def _with_seeds(services: list[ProposedService], database: str, steps: Sequence[Step]) -> Iterator[ProposedService]:
    if not steps:
        yield from services
        return
    seed = KeyValue("seed", ListOfMaps(tuple(steps)))
    if all(service.name != database for service in services):
        yield ProposedService(database, "", "The data that the tests find in the database.", "", (seed,))
    for service in services:
        yield service._replace(body=(*service.body, seed)) if service.name == database else service


def _variables(references: References) -> Iterator[KeyValue]:
    found: dict[str, KeyValue] = {}
    for service in references.findings.built_services:
        for variable in _variables_of(service, references.findings):
            if variable.origin == "example" and is_secret(variable) and not references.of(variable):
                default = escape(variable.value or f"for-tests-only-{variable.name.lower()}")
                # A short value would be masked wherever it occurs, even inside other words.
                secret: dict[str, Scalar] = {"secret": True} if len(default) >= SHORTEST_MASKED else {}
                value = OneLine({"from": variable.name, **secret, "default": default})
                found[variable.name.lower()] = KeyValue(variable.name.lower(), value, str(variable.file))
    yield from found.values()


def _outputs(references: References) -> Iterator[KeyValue]:
    """Yield the outputs: each variable that refers to a service, and a URL for each server and service that no variable refers to."""
    found: dict[str, KeyValue] = {}
    for variable in references.findings.variables:
        if text := references.of(variable):
            found.setdefault(variable.name, KeyValue(variable.name, text, str(variable.file)))
    for entry in _of_browsers(references.findings):
        found.setdefault(entry.key, entry)
    said = {str(entry.value) for entry in found.values()}
    for entry in _addresses(references.findings, {server.name for server in references.servers.values()}):
        if str(entry.value) not in said and not any(str(entry.value).removesuffix("url}") in text for text in said):
            found.setdefault(entry.key, entry)
    for third in references.third_parties:
        if third.recorded and not third.variables:
            entry = _address(third.name, third.because)
            found.setdefault(entry.key, entry)
    for server in references.servers.values():
        if not any(_is_address_of(server.name, text) for text in said):
            for entry in _usual_variables(server, server.because):
                is_url = str(entry.value).endswith(("url}", "endpoint}"))
                key = f"{server.name}_URL".replace("-", "_").upper() if entry.key in found and is_url else entry.key
                found.setdefault(key, entry._replace(key=key))
    yield from found.values()


def main_service(findings: ProjectFindings) -> str:
    """Return the service that browsers and clients call; empty if there is none.

    This is a service with a usual name for that purpose, otherwise the first service with a port.
    """
    names = [service.name for service in findings.built_services if service.port]
    names += [each.name for each in findings.compose_services if each.build_folder is not None and any(port for port, _ in each.ports)]
    return next((name for name in names if FRONT & set(re.split(r"[_-]", name))), names[0] if names else "")


def _of_browsers(findings: ProjectFindings) -> Iterator[KeyValue]:
    """Yield the variables from which Playwright and Cypress read the address of the application."""
    app = main_service(findings)
    for test in findings.test_commands if app else ():
        if "cypress run" in test.command:
            yield KeyValue("CYPRESS_BASE_URL", f"${{{app}.url}}", test.because)
    for variable in findings.variables if app else ():
        is_theirs = variable.file.name.startswith(("playwright.config", "cypress.config"))
        if is_theirs and re.search(r"(?:BASE|APP|SITE)_?URL", variable.name):
            yield KeyValue(variable.name, f"${{{app}.url}}", str(variable.file))


def _is_address_of(server: str, text: str) -> bool:
    """Return whether *text* is a complete address of *server*, not only a part of an address."""
    return re.match(rf"(?:\w+://)?\$\{{{re.escape(server)}[.|\[]\S*(?:url|uri|dsn|bootstrap|endpoint|\.port\}})", text) is not None


def _addresses(findings: ProjectFindings, servers: Collection[str]) -> Iterator[KeyValue]:
    for service in findings.built_services:
        if service.port:
            yield _address(service.name, str(service.dockerfile))
    for composed in findings.compose_services:
        is_second = composed.recognised and composed.name not in servers
        if is_second or (not composed.kind and any(published for published, _ in composed.ports)):
            yield _address(composed.name, str(findings.compose_file))


def _address(service: str, because: str) -> KeyValue:
    name = re.sub(r"\W+", "_", f"{service}_URL", flags=re.ASCII).strip("_").upper()
    return KeyValue(f"_{name}" if name[:1].isdigit() else name, f"${{{service}.url}}", because)


def _test(test: TestCommand, outputs: Collection[KeyValue], findings: ProjectFindings) -> KeyValue:
    app = main_service(findings)
    name = next((entry.key for entry in outputs if app and str(entry.value) == f"${{{app}.url}}"), "")
    command = in_folder(test.folder, f'{test.command} {test.address}"${name}"' if name and test.address else test.command)
    if not test.reports:
        return KeyValue(test.name, command, test.because)
    reports = OneLine(tuple(path_from_environments(PurePosixPath(test.folder, report)) for report in test.reports))
    return KeyValue(test.name, (KeyValue("run", command, test.because), KeyValue("reports", reports)))
