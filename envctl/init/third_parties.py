"""Find third parties, which tests should not call, and propose a stub in place of each."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.init.env_example import server_property, split_url
from envctl.init.keploy import host_name
from envctl.init.model import (
    ExampleVariable,
    KeyValue,
    OpenApiDocument,
    Operation,
    ProjectFindings,
    ProposedService,
    Recording,
    service_name,
)
from envctl.init.servers import NeededServer, server_of

FOLDERS = frozenset(["third_party", "third-party", "thirdparty", "external", "clients", "partners", "vendors", "contracts", "stubs"])
"""Folders whose OpenAPI documents describe the API of a third party."""
_NAME = re.compile(r"([A-Z][A-Z0-9_]*?)_(?:(?:API|BASE|SERVICE|SERVER|HTTP)_?)*(?:URL|URI|ENDPOINT|HOST|API)")
_NOT_THIRD = re.compile(
    r"(?:APP|BASE|SITE|PUBLIC|FRONTEND|FRONT|BACKEND|WEB|CLIENT|HOME|ROOT|SERVER|SELF|API|SERVICE|HTTP|HTTPS|MY|TEST|PROXY)"
    r"|MEILI\w*|TYPESENSE|SOLR|QDRANT|WEAVIATE|CHROMA|MINIO|KEYCLOAK|VAULT|CONSUL|ETCD|CLICKHOUSE|NEO4J|COUCHDB|INFLUX\w*|SELENIUM"
    r"|(?:NEXT_PUBLIC|VITE|REACT_APP|NUXT|EXPO)_.*|(?:HTTPS?|NO)_PROXY"
    r"|.*(?:CALLBACK|REDIRECT|WEBHOOK|CORS|ORIGIN|SENTRY|DOCS|LOGO|IMAGE|OTEL|LOG|TRACING|METRICS|GRAFANA|PROMETHEUS|JAEGER|HEALTH).*"
)
_BROWSERS = ("playwright", "cypress", "selenium", "e2e", "test", "tests")
"""Names of test tools that call services: `PLAYWRIGHT_BASE_URL` is the address of the page under test."""
_THIS_MACHINE = re.compile(r"localhost|127\..*|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal", re.IGNORECASE)


class ThirdParty(NamedTuple):
    """A third party that the project calls."""

    name: str
    because: str
    sure: bool
    variables: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    document: OpenApiDocument | None = None
    recorded: tuple[Mapping[str, Any], ...] = ()
    """WireMock mappings of the third party's recorded responses."""

    @property
    def routes(self) -> str:
        """The path of the stub's routes, relative to the definition."""
        return f"stubs/{self.name}.json"


def third_parties(
    findings: ProjectFindings, servers: dict[str, NeededServer], taken: Collection[str], without: Collection[str]
) -> list[ThirdParty]:
    """Return the third parties that variables, OpenAPI documents and recordings show.

    Args:
        findings: what was found in the project.
        servers: the servers of the environment, by kind; a variable that refers to one of them refers to no third party.
        taken: names of services that are in use.
        without: names of services that the user does not want.
    """
    found: dict[str, ThirdParty] = {}
    for variable in findings.variables:
        if variable.origin != "example":
            continue
        name = _third_party_name(variable)
        if name and server_of(server_property(variable), servers) is None and not project_service(variable, findings):
            found[name] = _with_variable(found.get(name), name, variable)
    for document in findings.openapi_documents:
        if is_foreign(document) and not any(_document_of(name, third.hosts, [document]) for name, third in found.items()):
            found[document.file.stem] = ThirdParty(document.file.stem, str(document.file), True, hosts=(document.host,))
    for recording in findings.recordings:
        _add_recording(found, recording)
    used = set(taken)
    named = []
    for third in found.values():
        name = service_name(third.name, used)
        used.add(name)
        named.append(third._replace(name=name, document=_document_of(third.name, third.hosts, findings.openapi_documents)))
    return [third for third in named if third.name not in without]


def _add_recording(found: dict[str, ThirdParty], recording: Recording) -> None:
    """Add *recording* to the third party with the same host; if there is none, add a new third party to *found*."""
    host = recording.host.partition(":")[0]
    name = next((name for name, third in found.items() if host in third.hosts or name == host), host_name(recording.host))
    third = found.get(name) or ThirdParty(name, f"recorded: {recording.host}", True, hosts=(host,))
    found[name] = third._replace(recorded=(*third.recorded, *recording.mappings))


def _third_party_name(variable: ExampleVariable) -> str:
    """Return the name of the third party whose address *variable* contains; empty if it contains no such address."""
    match = _NAME.fullmatch(variable.name.upper())
    if match is None or _NOT_THIRD.fullmatch(match[1]):
        return ""
    parts = split_url(variable.value)
    is_address = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    empty = not variable.value and re.search(r"(URL|URI|ENDPOINT)$", variable.name.upper())
    return match[1].lower().replace("_", "-") if is_address or empty else ""


def _with_variable(third: ThirdParty | None, name: str, variable: ExampleVariable) -> ThirdParty:
    parts = split_url(variable.value)
    host = (parts.hostname if parts is not None else "") or ""
    hosts = (host,) if host and not is_this_machine(host) else ()
    sure = any("." in host for host in hosts)
    if third is None:
        return ThirdParty(name, f"{variable.file}: {variable.name}", sure, (variable.name,), hosts)
    return third._replace(variables=(*third.variables, variable.name), hosts=(*third.hosts, *hosts), sure=third.sure or sure)


def is_this_machine(host: str) -> bool:
    """Return whether *host* means the machine on which envctl runs."""
    return _THIS_MACHINE.fullmatch(host) is not None


def is_foreign(document: OpenApiDocument) -> bool:
    """Return whether *document* describes the API of a third party."""
    return bool(FOLDERS & set(document.file.parts[:-1]))


def _document_of(name: str, hosts: Sequence[str], documents: Sequence[OpenApiDocument]) -> OpenApiDocument | None:
    """Return the OpenAPI document of the third party *name*: with the same host, or with its name in the path."""
    for document in documents:
        words = re.split(r"[^a-z0-9]+", f"{document.file.parent.name} {document.file.stem}".lower())
        if (document.host and document.host in hosts) or name in words or name.replace("-", "") in words:
            return document
    return None


def project_service(variable: ExampleVariable, findings: ProjectFindings) -> str:
    """Return the service of this project whose address is the value of *variable*; empty if it is the address of no service.

    The service is found by the host name, by the port on this machine, or by the variable's name.
    """
    parts = split_url(variable.value)
    if parts is None or parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        return ""
    ports = {service.name: [service.port] for service in findings.built_services}
    ports |= {service.name: [number for pair in service.ports for number in pair if number] for service in findings.compose_services}
    if ports.get(parts.hostname):
        return parts.hostname
    if not is_this_machine(parts.hostname):
        return ""
    by_port = next((name for name, numbers in ports.items() if parts.port and parts.port in numbers), "")
    named = match[1].lower().replace("_", "-") if (match := _NAME.fullmatch(variable.name.upper())) else ""
    return by_port or (named if ports.get(named) and named not in _BROWSERS else "")


def proposed_stub(third: ThirdParty) -> ProposedService:
    """Return the proposed stub service for *third*."""
    title = "A third party that no test should call: a stub answers in its place, by rules on the request."
    starter = "what it answered while tests were recorded" if third.recorded else "a start: write its answers there"
    source = str(third.document.file) if third.document else starter
    body = (KeyValue("with", (KeyValue("routes", third.routes, source),)),)
    return ProposedService(third.name, "stub", title, third.because, body, third.sure)


def stub_routes(third: ThirdParty) -> str:
    """Return WireMock mappings as JSON text.

    The mappings are the recorded responses, otherwise those of the OpenAPI document, otherwise one mapping that answers every request.
    """
    document = third.document
    if third.recorded:
        return json.dumps({"mappings": third.recorded}, indent=2, ensure_ascii=False) + "\n"
    mappings = [_mapping(document.base_path, operation) for operation in document.operations] if document else []
    return json.dumps({"mappings": mappings or [_answer_to_all(third.name)]}, indent=2, ensure_ascii=False) + "\n"


def _mapping(base_path: str, operation: Operation) -> dict[str, Any]:
    response: dict[str, Any] = {"status": operation.status}
    if operation.status != 204:
        body = json.loads(operation.example) if operation.example else {}
        response |= {"headers": {"Content-Type": "application/json"}, "jsonBody": body}
    return {
        "name": f"{operation.method} {operation.path}",
        "request": {"method": operation.method, "urlPathPattern": _path_pattern(base_path + operation.path)},
        "response": response,
    }


def _path_pattern(path: str) -> str:
    return "".join("[^/]+" if part.startswith("{") else re.escape(part).replace(r"\-", "-") for part in re.split(r"(\{[^}]*\})", path))


def _answer_to_all(name: str) -> dict[str, Any]:
    answer = {"status": 200, "headers": {"Content-Type": "application/json"}, "jsonBody": {"stub": name}}
    return {"name": "everything", "priority": 10, "request": {"method": "ANY", "urlPathPattern": "/.*"}, "response": answer}
