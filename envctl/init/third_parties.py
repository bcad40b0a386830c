"""Third parties of the proposal: each gets a stub with routes to begin with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from envctl.init.meaning import meaning, split_url
from envctl.init.model import Api, Entry, ProjectFindings, Proposed, Variable
from envctl.init.names import service_name
from envctl.init.servers import Server, server_of
from envctl.init.stubs import api_of, is_elsewhere, is_local, starter, third_party

FOLDERS = frozenset(["third_party", "third-party", "thirdparty", "external", "clients", "partners", "vendors", "contracts", "stubs"])
"""Folders in which an OpenAPI document is somebody else's."""


@dataclass(frozen=True)
class Third:
    """A third party, the variables with its address and what is known of it."""

    name: str
    because: str
    sure: bool
    variables: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    api: Api | None = None

    @property
    def routes(self) -> str:
        return f"stubs/{self.name}.json"

    @property
    def text(self) -> str:
        return starter(self.name, self.api.base if self.api else "", self.api)


def thirds(evidence: ProjectFindings, known: dict[str, Server], taken: Collection[str], without: Collection[str]) -> list[Third]:
    """The third parties that variables and OpenAPI documents show."""
    found: dict[str, Third] = {}
    for variable in evidence.variables:
        name = third_party(variable)
        if name and not speaks_of_server(variable, known) and not own_name(variable, evidence):
            found[name] = _with(found.get(name), name, variable)
    for api in evidence.apis:
        if is_foreign(api) and api_of_any(api, found) is None:
            found[api.file.stem] = Third(api.file.stem, str(api.file), True, hosts=(api.host,))
    used = set(taken)
    named = []
    for third in found.values():
        name = service_name(third.name, used)
        used.add(name)
        named.append(replace(third, name=name, api=api_of(third.name, third.hosts, evidence.apis)))
    return [third for third in named if third.name not in without]


def _with(third: Third | None, name: str, variable: Variable) -> Third:
    parts = split_url(variable.value)
    hosts = (parts.hostname,) if parts is not None and parts.hostname and not is_local(parts.hostname) else ()
    if third is None:
        return Third(name, f"{variable.file}: {variable.name}", is_elsewhere(variable), (variable.name,), hosts)
    sure = third.sure or is_elsewhere(variable)
    return replace(third, variables=(*third.variables, variable.name), hosts=(*third.hosts, *hosts), sure=sure)


def speaks_of_server(variable: Variable, known: dict[str, Server]) -> bool:
    found = meaning(variable)
    return found is not None and server_of(found, known) is not None


def is_foreign(api: Api) -> bool:
    return bool(FOLDERS & set(api.file.parts[:-1]))


def api_of_any(api: Api, found: dict[str, Third]) -> str | None:
    return next((name for name, third in found.items() if api_of(name, third.hosts, [api]) is not None), None)


def own_name(variable: Variable, evidence: ProjectFindings) -> str:
    """The service of this project whose address *variable* is: by its host name, or by the port on this machine."""
    parts = split_url(variable.value)
    if parts is None or parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        return ""
    ports = {program.name: [program.port] for program in evidence.programs}
    ports |= {service.name: [number for pair in service.ports for number in pair if number] for service in evidence.composed}
    if ports.get(parts.hostname):
        return parts.hostname
    if not is_local(parts.hostname):
        return ""
    return next((name for name, numbers in ports.items() if parts.port and parts.port in numbers), "")


def stub_service(third: Third) -> Proposed:
    title = "A third party that no test should call: a stub answers in its place, by rules on the request."
    source = str(third.api.file) if third.api else "a starter: say there what it answers"
    body = (Entry("with", (Entry("routes", third.routes, source),)),)
    return Proposed(third.name, "stub", title, third.because, body, third.sure)
