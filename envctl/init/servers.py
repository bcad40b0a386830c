"""Find the servers that a project needs: those in its Compose file, and those that drivers and variables require."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from envctl.definition.expressions import escape
from envctl.init.code_variables import is_test
from envctl.init.env_example import SQL, ServerProperty, server_property, split_url, sql_dialect
from envctl.init.model import ExampleVariable, KeyValue, KnownServer, OneLine, ProjectFindings, ProposedService, service_name

NAMES = {
    "postgres": "db", "mariadb": "db", "valkey": "cache", "rabbitmq": "broker", "nats": "events", "kafka": "kafka",
    "mqtt": "mqtt", "s3": "files", "memcached": "memcached", "mail": "mail", "mongo": "mongo",
    "elasticsearch": "search",
}  # fmt: skip
"""Kinds, each with the name of the proposed service."""
TITLES = {
    "postgres": "PostgreSQL. User and password are random for each instance; ${db.url} has them.",
    "mariadb": "MariaDB. User and password are random for each instance; ${db.url} has them.",
    "valkey": "Valkey, which speaks the protocol of Redis.",
    "redis": "Redis.",
    "rabbitmq": "RabbitMQ, the message broker.",
    "nats": "NATS, the message broker.",
    "kafka": "Kafka; topics are created on first use.",
    "mqtt": "Mosquitto, an MQTT broker.",
    "s3": "An S3 server.",
    "memcached": "Memcached.",
    "mail": "An SMTP server that keeps every mail, for the tests to read over HTTP.",
    "mongo": "MongoDB: a plain image, because envctl has no kind for it.",
    "elasticsearch": "Elasticsearch: a plain image, because envctl has no kind for it.",
}
IMAGES: dict[str, tuple[KeyValue, ...]] = {
    "mongo": (KeyValue("image", "mongo:8"), KeyValue("port", 27017)),
    "elasticsearch": (
        KeyValue("image", "docker.elastic.co/elasticsearch/elasticsearch:8.19.0"),
        KeyValue("port", 9200),
        KeyValue("ready", OneLine({"http": "/_cluster/health"})),
        KeyValue("env", (KeyValue("discovery.type", "single-node"), KeyValue("xpack.security.enabled", "false"))),
    ),
}
"""The bodies of proposed services for servers without a kind in envctl."""
USUAL_VARIABLES = {
    "postgres": {"DATABASE_URL": "url"},
    "mariadb": {"DATABASE_URL": "url"},
    "valkey": {"REDIS_URL": "url"},
    "rabbitmq": {"AMQP_URL": "url"},
    "nats": {"NATS_URL": "url"},
    "kafka": {"KAFKA_BOOTSTRAP_SERVERS": "bootstrap"},
    "mqtt": {"MQTT_URL": "url"},
    "s3": {
        "S3_ENDPOINT": "endpoint",
        "AWS_ACCESS_KEY_ID": "access_key",
        "AWS_SECRET_ACCESS_KEY": "secret_key",
        "AWS_REGION": "region",
    },
    "memcached": {"MEMCACHED_URL": "url"},
    "mail": {"SMTP_URL": "url", "MAIL_URL": "web_url"},
}
"""Kinds, each with the usual variables and the server's property. Used for servers that no variable of the project refers to."""
SAME_DRIVERS = {"redis": "valkey"}
"""Kinds whose drivers are those of another kind."""


class NeededServer(NamedTuple):
    """A server that the project needs."""

    name: str
    kind: str
    because: str
    in_compose: bool = False
    has_kind: bool = True
    """Whether envctl has a kind for the server, so that the server has the properties of that kind."""
    sure: bool = True
    databases: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    known: KnownServer | None = None
    """The same server as the project itself starts it, for example in CI; None if the project does not start it."""


def needed_servers(findings: ProjectFindings, without: Collection[str]) -> dict[str, NeededServer]:
    """Return the needed servers by kind. *without* contains names of services that the user does not want."""
    servers = _in_compose(findings)
    taken = {service.name for service in findings.compose_services}
    known = {SAME_DRIVERS.get(server.kind, server.kind): server for server in findings.known_servers}
    for kind, because, sure in _reasons(findings):
        if kind not in servers:
            name = service_name(NAMES[kind] if NAMES[kind] not in taken else kind, taken)
            taken.add(name)
            servers[kind] = NeededServer(name, kind, because, has_kind=kind not in IMAGES, sure=sure, known=known.get(kind))
    wanted = {kind: server for kind, server in servers.items() if server.in_compose or server.name not in without}
    return {kind: _with_contents(server, wanted, findings.variables) for kind, server in wanted.items()}


def _in_compose(findings: ProjectFindings) -> dict[str, NeededServer]:
    servers: dict[str, NeededServer] = {}
    for service in findings.compose_services:
        kind = SAME_DRIVERS.get(service.kind, service.kind)
        if kind in NAMES and (kind not in servers or not servers[kind].has_kind):
            because = str(findings.compose_file)
            servers[kind] = NeededServer(service.name, kind, because, in_compose=True, has_kind=service.recognised)
    return servers


def _reasons(findings: ProjectFindings) -> Iterator[tuple[str, str, bool]]:
    """Yield kinds, each with the reason why the project needs such a server, and whether the reason is certain.

    A Compose file is assumed to be complete except for servers that CI starts or that a variable refers to.
    """
    for server in findings.known_servers:
        kind = SAME_DRIVERS.get(server.kind, server.kind)
        if kind in NAMES:
            yield kind, f"{server.seen.file}: {server.seen.image}", True
    complete = any(service.build_folder is not None for service in findings.compose_services)
    for variable in findings.variables if not complete else ():
        if variable.origin != "code" and (kind := _implied(variable)):
            yield kind, f"{variable.file}: {variable.name}", True
    if findings.compose_services:
        return
    for driver in sorted(findings.drivers, key=lambda driver: not driver.sure):
        yield driver.kind, f"{driver.file}: {driver.dependency}", driver.sure
    for variable in findings.variables:
        if variable.origin == "code" and _is_default(variable) and (kind := _implied(variable)):
            yield kind, f"{variable.file}: {variable.name}", False


def _is_default(variable: ExampleVariable) -> bool:
    """Return whether the code connects to a server on this machine by default. Servers that the code can also use are not needed."""
    parts = split_url(variable.value)
    here = parts is not None and parts.hostname in ("localhost", "127.0.0.1")
    return not is_test(variable.file) and (here or _is_mailbox(variable.value))


def _implied(variable: ExampleVariable) -> str:
    if dialect := sql_dialect(variable):
        return dialect
    found = server_property(variable)
    if found is None:
        return ""
    return found.kind if found.implies_server or (found.kind == "mail" and _is_mailbox(variable.value)) else ""


def _is_mailbox(value: str) -> bool:
    """Return whether *value* is the host or the port of a mail catcher: a server that keeps mail for tests to read."""
    return value == "1025" or re.fullmatch(r"mail(?:pit|hog|dev|catcher)", value) is not None


def server_of(found: ServerProperty | None, servers: dict[str, NeededServer]) -> NeededServer | None:
    """Return the server that *found* refers to. The kind `database` (from `DB_HOST`) means any SQL server of the project."""
    if found is None:
        return None
    kinds = SQL if found.kind == "database" else (found.kind,)
    return next((servers[kind] for kind in kinds if kind in servers), None)


def _with_contents(server: NeededServer, servers: dict[str, NeededServer], variables: Iterable[ExampleVariable]) -> NeededServer:
    told = [variable for variable in variables if variable.origin != "code"]
    found = [item for variable in told if (item := server_property(variable)) and item.item and server_of(item, servers) == server]
    buckets = dict.fromkeys(item.item for item in found if item.name == "bucket")
    of_ci = [server.known.parameters.get("databases", "")] if server.known else []
    databases = dict.fromkeys([*filter(None, of_ci), *(item.item for item in found if item.name != "bucket")])
    return server._replace(databases=tuple(databases) if server.kind in SQL else (), buckets=tuple(buckets))


def proposed_servers(servers: dict[str, NeededServer]) -> Iterator[ProposedService]:
    """Yield the services to propose: one for each server that is not in the Compose file."""
    return (_proposed(server) for server in servers.values() if not server.in_compose)


def _proposed(server: NeededServer) -> ProposedService:
    declared = [("databases", server.databases), ("buckets", server.buckets)]
    entries = [KeyValue(key, OneLine(names), "named in the variables") for key, names in declared if names]
    body = list(IMAGES.get(server.kind, ()))
    kind, title = server.kind, TITLES[server.kind].replace("${db.", f"${{{server.name}.")
    if server.known:
        kind, because = server.known.kind, str(server.known.seen.file)
        title = TITLES[kind] if kind == "redis" else title
        own = [(key, value) for key, value in (("image", server.known.image), ("version", server.known.version)) if value]
        body = [entry for entry in body if entry.key not in dict(own)]
        body[:0] = [KeyValue(key, value, because) for key, value in own]
        credentials = [item for item in server.known.parameters.items() if item[0] in ("username", "password")]
        entries[:0] = [KeyValue(key, escape(value), because) for key, value in credentials]
        title = title.partition(" User and password")[0] if credentials else title
    if entries and server.has_kind:
        body.append(KeyValue("with", tuple(entries)))
    return ProposedService(server.name, kind if server.has_kind else "", title, server.because, tuple(body), server.sure)
