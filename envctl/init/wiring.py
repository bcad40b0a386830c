"""Variables -> what they get in this environment, for a service inside and for the tests outside."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from envctl.init.expressions import expression
from envctl.init.meaning import meaning, split_url
from envctl.init.model import Entry, ProjectFindings, Variable
from envctl.init.servers import Server, server_of
from envctl.init.stubs import is_local, path_of
from envctl.init.third_parties import Third, own_name

SECRET = re.compile(r".*(?:SECRET|TOKEN|PASSWORD|PASSWD|_KEY|_KEY_BASE|SALT|_PASS)", re.IGNORECASE)
LISTEN = re.compile(r"(?:HTTP_|SERVER_|APP_|API_|LISTEN_|BIND_)?(?:HOST|BIND|ADDR|ADDRESS)")
OWN_PORT = re.compile(r"(?:HTTP_|SERVER_|APP_|API_|LISTEN_)?PORT")


@dataclass(frozen=True)
class Wiring:
    """What there is to refer to."""

    evidence: ProjectFindings
    known: dict[str, Server]
    thirds: tuple[Third, ...]
    services: Collection[str]
    """The names of all services that are proposed or composed."""

    def reference(self, variable: Variable) -> str:
        """The expression that *variable* gets; empty where it speaks of no service."""
        found = meaning(variable)
        server = server_of(found, self.known) if found is not None else None
        if found is not None and server is not None:
            first = found.item if server.composed else server.first
            return expression(found, server.name, server.kind, known=server.known, first=first)
        third = next((third for third in self.thirds if variable.name in third.variables), None)
        if third is not None:
            return f"${{{third.name}.url}}{_literal(path_of(variable))}"
        return self._own(variable)

    def _own(self, variable: Variable) -> str:
        name, parts = own_name(variable, self.evidence), split_url(variable.value)
        if name not in self.services or parts is None:
            return ""
        scheme = f"${{{name}.url}}" if parts.scheme in ("http", "https") else f"ws://${{{name}.host}}:${{{name}.port}}"
        return f"{scheme}{_literal(path_of(variable))}"

    def owner(self, variable: Variable) -> str:
        """The service of the project's own that *variable* is the address of."""
        return own_name(variable, self.evidence)


def plain(variable: Variable, has_port: bool) -> Entry | None:
    """A variable that speaks of no service, as a line of a service's `env`; None where its value fits nowhere else."""
    because = str(variable.file)
    if OWN_PORT.fullmatch(variable.name):
        return Entry(variable.name, "${self.port}", because) if has_port else None
    if LISTEN.fullmatch(variable.name) and is_local(variable.value):
        return Entry(variable.name, "${self.bind}", because)
    if is_secret(variable):
        return Entry(variable.name, f"${{var.{variable_key(variable)}}}", because)
    if not variable.value or re.search(r"localhost|127\.0\.0\.1", variable.value) or "\n" in variable.value:
        return None
    return Entry(variable.name, _literal(variable.value), because)


def is_secret(variable: Variable) -> bool:
    return SECRET.fullmatch(variable.name) is not None and not re.fullmatch(r"\d+|true|false", variable.value)


def variable_key(variable: Variable) -> str:
    return variable.name.lower()


def _literal(text: str) -> str:
    return text.replace("${", "$${")
