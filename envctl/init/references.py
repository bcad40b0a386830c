"""Find the value that a variable of `.env.example` gets in a definition: a reference such as `${db.url}`, or its own value."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from envctl.definition.compose_services import port_name
from envctl.definition.expressions import escape
from envctl.init.env_example import SQL, ServerProperty, server_property, split_url
from envctl.init.model import ExampleVariable, KeyValue, ProjectFindings
from envctl.init.servers import NeededServer, server_of
from envctl.init.third_parties import ThirdParty, is_this_machine, project_service

ACCEPTED_SCHEMES = {"postgres": ("postgres", "postgresql"), "mariadb": ("mysql",)}
SCHEMES = {
    "postgres": "postgresql", "mariadb": "mysql", "mongo": "mongodb", "mail": "smtp", "valkey": "redis", "rabbitmq": "amqp",
}  # fmt: skip
"""Kinds whose name is not the scheme of their URLs, each with that scheme."""
RENAMED_PROPERTIES = {
    ("kafka", "servers"): "bootstrap",
    ("kafka", "url"): "bootstrap",
    ("nats", "servers"): "url",
    ("elasticsearch", "servers"): "url",
}
"""Pairs of a kind and a property's name derived from a variable, each with the name that the kind gives to this property."""
_SECRET = re.compile(r".*(?:SECRET|TOKEN|PASSWORD|PASSWD|_KEY|_KEY_BASE|SALT|_PASS)", re.IGNORECASE)
_OF_DOCKER = re.compile(
    r"COMPOSE_\w+|BUILDKIT_\w+|DOCKER_(?:BUILDKIT|HOST|CONTEXT|CONFIG|CERT_PATH|TLS_VERIFY|DEFAULT_PLATFORM|RESTART_POLICY)"
)
"""Variables that Docker and Compose read themselves; no program in a container reads them."""
_LISTEN_ADDRESS = re.compile(r"(?:HTTP_|SERVER_|APP_|API_|LISTEN_|BIND_)?(?:HOST|BIND|ADDR|ADDRESS)")
_LISTEN_PORT = re.compile(r"(?:HTTP_|SERVER_|APP_|API_|LISTEN_)?PORT")


class References(NamedTuple):
    """What variables of the project can refer to, and how a definition writes the references."""

    findings: ProjectFindings
    servers: dict[str, NeededServer]
    third_parties: tuple[ThirdParty, ...]
    services: Collection[str]
    """The names of all services, proposed or in the Compose file."""

    def of(self, variable: ExampleVariable) -> str:
        """Return the expression for *variable*; empty if the variable does not refer to a service."""
        found = server_property(variable)
        server = server_of(found, self.servers)
        if (server is None or not server.has_kind) and (moved := self._moved(variable)):
            return moved
        if found is not None and server is not None:
            return server_reference(found, server)
        third = next((third for third in self.third_parties if variable.name in third.variables), None)
        if third is not None:
            return f"${{{third.name}.url}}{_path(variable)}"
        return self._of_project_service(variable)

    def _moved(self, variable: ExampleVariable) -> str:
        """Return the URL for a service of the Compose file without a kind: host and port become references, the rest stays."""
        parts = split_url(variable.value)
        if parts is None or not parts.hostname or not parts.port or (parts.scheme in ("http", "https", "ws", "wss") and not parts.username):
            return ""
        for service in self.findings.compose_services:
            here = parts.hostname == service.name
            ports = [inside for outside, inside in service.ports if parts.port == (inside if here else outside)]
            if not service.recognised and ports and (here or is_this_machine(parts.hostname)):
                before, _, after = variable.value.partition(f"{parts.hostname}:{parts.port}")
                return f"{escape(before)}${{{service.name}.host}}:${{{service.name}.ports.{port_name(ports[0])}}}{escape(after)}"
        return ""

    def _of_project_service(self, variable: ExampleVariable) -> str:
        name, parts = project_service(variable, self.findings), split_url(variable.value)
        if name not in self.services or parts is None:
            return ""
        url = f"${{{name}.url}}" if parts.scheme in ("http", "https") else f"ws://${{{name}.host}}:${{{name}.port}}"
        return f"{url}{_path(variable)}"


def _path(variable: ExampleVariable) -> str:
    parts = split_url(variable.value)
    return escape(parts.path.rstrip("/")) if parts is not None else ""


def server_reference(found: ServerProperty, server: NeededServer) -> str:
    """Return the expression for a property of *server*; empty if the server does not have the property."""
    name, kind = server.name, server.kind
    if found.name in ("host", "port"):
        return f"${{{name}.{found.name}}}"
    if not server.has_kind:
        return _of_plain_image(found, name, kind)
    if kind == "memcached" and found.name == "servers":
        return f"${{{name}.host}}:${{{name}.port}}"
    if kind == "valkey" and found.name == "url" and found.item not in ("", "0") and found.item.isdigit():
        return f"redis://${{{name}.username|urlencode}}:${{{name}.password|urlencode}}@${{{name}.host}}:${{{name}.port}}/{found.item}"
    if found.name == "bucket":
        return f'${{{name}.buckets["{found.item}"].name}}' if found.item else ""
    # A database that is not declared would not exist, so the server's first database replaces it.
    is_declared = not server.in_compose and found.item in server.databases[1:]
    return _of_kind(found, name, kind, is_declared)


def _of_kind(found: ServerProperty, server: str, kind: str, is_declared: bool) -> str:
    prop = RENAMED_PROPERTIES.get((kind, found.name), found.name)
    owner = server
    if kind in SQL and is_declared and prop in ("url", "jdbc_url", "database"):
        owner = f'{server}.databases["{found.item}"]'
    text = f"{owner}.{prop}"
    if prop == "jdbc_url" and kind == "mariadb" and found.scheme == "mysql":  # MySQL's driver rejects a URL for MariaDB.
        text += "|replace('jdbc:mariadb:', 'jdbc:mysql:')"
    if prop == "url" and kind in SQL and found.scheme and found.scheme not in ACCEPTED_SCHEMES[kind]:
        text += f"|replace('{SCHEMES[kind]}://', '{found.scheme}://')"
    return f"${{{text}}}{escape(found.query)}"


def _of_plain_image(found: ServerProperty, server: str, kind: str) -> str:
    """Return the expression for a server without a kind, of which only host and port are known; empty if these are not enough."""
    where = f"${{{server}.host}}:${{{server}.port}}"
    if found.name == "endpoint" or (kind == "elasticsearch" and found.name in ("url", "servers")):
        return f"http://{where}"
    if found.name == "servers" or kind == "kafka":
        return where
    if found.name == "url" and kind in SCHEMES and kind not in (*SQL, "rabbitmq"):  # these need an unknown password
        return f"{SCHEMES[kind]}://{where}" + (f"/{found.item}" if found.item and kind == "mongo" else "")
    return ""


PLAIN_VARIABLES = {"mongo": "MONGO_URL", "elasticsearch": "ELASTICSEARCH_URL", "s3": "S3_ENDPOINT", "kafka": "KAFKA_BOOTSTRAP_SERVERS"}
"""Servers that may have no kind, each with the usual variable for its address."""


def plain_url(server: NeededServer) -> str:
    """Return the address of a server without a kind; empty if the form of the address is not known."""
    prop = "endpoint" if server.kind == "s3" else "url"
    return _of_plain_image(ServerProperty(server.kind, prop), server.name, server.kind) if server.kind in PLAIN_VARIABLES else ""


def plain_value(variable: ExampleVariable, has_port: bool) -> KeyValue | None:
    """Return the entry in a service's `env` for a variable that does not refer to a service.

    None if the value is of no use in the environment, for example an address on the developer's machine.
    """
    because = str(variable.file)
    if _LISTEN_PORT.fullmatch(variable.name):
        return KeyValue(variable.name, "${self.port}", because) if has_port else None
    if _LISTEN_ADDRESS.fullmatch(variable.name) and is_this_machine(variable.value):
        return KeyValue(variable.name, "${self.bind}", because)
    if is_secret(variable):
        return KeyValue(variable.name, f"${{var.{variable.name.lower()}}}", because)
    if not variable.value or re.search(r"localhost|127\.0\.0\.1", variable.value) or "\n" in variable.value:
        return None
    if _OF_DOCKER.fullmatch(variable.name):
        return None
    return KeyValue(variable.name, escape(variable.value), because)


def is_listen_port(name: str) -> bool:
    """Return whether *name* is a usual name for the port that a service listens on."""
    return _LISTEN_PORT.fullmatch(name) is not None


def is_secret(variable: ExampleVariable) -> bool:
    """Return whether *variable* must become a variable of the definition, because its value is secret and may not be written in a file."""
    return _SECRET.fullmatch(variable.name) is not None and not re.fullmatch(r"\d+|true|false", variable.value)
