"""The servers of the proposal: those of the Compose file, and those that drivers and variables ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from envctl.init.meaning import SQL, Meaning, meaning, sql_dialect
from envctl.init.model import Entry, Flow, ProjectFindings, Proposed, Variable
from envctl.init.names import service_name

NAMES = {
    "postgres": "db", "mariadb": "db", "valkey": "cache", "rabbitmq": "broker", "nats": "events", "kafka": "kafka",
    "mqtt": "mqtt", "s3": "files", "memcached": "memcached", "mail": "mail", "mongo": "mongo",
    "elasticsearch": "search",
}  # fmt: skip
TITLES = {
    "postgres": "PostgreSQL. User and password are drawn at random for each instance; ${db.url} has them.",
    "mariadb": "MariaDB. User and password are drawn at random for each instance; ${db.url} has them.",
    "valkey": "Valkey, which speaks the protocol of Redis.",
    "rabbitmq": "RabbitMQ, the message broker.",
    "nats": "NATS, the message broker.",
    "kafka": "Kafka; topics are made on first use.",
    "mqtt": "Mosquitto, an MQTT broker.",
    "s3": "An S3 server.",
    "memcached": "Memcached.",
    "mail": "An SMTP server that keeps every mail, for the tests to read over HTTP.",
    "mongo": "MongoDB: an image as it is, since envctl has no kind for it.",
    "elasticsearch": "Elasticsearch: an image as it is, since envctl has no kind for it.",
}
IMAGES: dict[str, tuple[Entry, ...]] = {
    "mongo": (Entry("image", "mongo:8"), Entry("port", 27017)),
    "elasticsearch": (
        Entry("image", "docker.elastic.co/elasticsearch/elasticsearch:8.19.0"),
        Entry("port", 9200),
        Entry("ready", Flow({"http": "/_cluster/health"})),
        Entry("env", (Entry("discovery.type", "single-node"), Entry("xpack.security.enabled", "false"))),
    ),
}
"""Servers without a kind of their own."""
DEFAULTS = {
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
"""What a server is called and asked where no variable speaks of it."""
FAMILY = {"redis": "valkey"}
"""Kinds that the same drivers speak to."""


@dataclass(frozen=True)
class Server:
    """A server, and what the variables say it holds."""

    name: str
    kind: str
    because: str
    composed: bool = False
    known: bool = True
    """It is of a kind of ours, so that it has that kind's properties."""
    sure: bool = True
    databases: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        return self.databases[0] if self.databases and not self.composed else ""


@dataclass
class Found:
    """Servers by kind, as they are found."""

    servers: dict[str, Server] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add(self, kind: str, because: str, sure: bool) -> None:
        if kind in self.servers:
            return
        name = service_name(NAMES[kind] if NAMES[kind] not in self.taken else kind, self.taken)
        self.taken.add(name)
        self.servers[kind] = Server(name, kind, because, known=kind not in IMAGES, sure=sure)


def servers(evidence: ProjectFindings, without: Collection[str]) -> dict[str, Server]:
    """Kind to server; *without* are names that the user does not want."""
    found = Found(taken={service.name for service in evidence.composed})
    for service in evidence.composed:
        kind = FAMILY.get(service.kind, service.kind)
        if kind in NAMES and (kind not in found.servers or not found.servers[kind].known):
            found.servers[kind] = Server(service.name, kind, str(evidence.compose), composed=True, known=service.recognised)
    for variable in evidence.variables:
        if kind := _implied(variable):
            found.add(kind, f"{variable.file}: {variable.name}", True)
    for driver in sorted(evidence.drivers, key=lambda driver: not driver.sure):
        found.add(driver.kind, f"{driver.file}: {driver.dependency}", driver.sure)
    wanted = {kind: server for kind, server in found.servers.items() if server.composed or server.name not in without}
    return {kind: _filled(server, wanted, evidence.variables) for kind, server in wanted.items()}


def _implied(variable: Variable) -> str:
    if dialect := sql_dialect(variable):
        return dialect
    found = meaning(variable)
    return found.kind if found is not None and found.implies else ""


def server_of(found: Meaning, known: dict[str, Server]) -> Server | None:
    """The server that a variable speaks of; `DB_HOST` speaks of whichever SQL server there is."""
    kinds = SQL if found.kind == "database" else (found.kind,)
    return next((known[kind] for kind in kinds if kind in known), None)


def _filled(server: Server, known: dict[str, Server], variables: Collection[Variable]) -> Server:
    items: dict[str, dict[str, None]] = {"bucket": {}, "database": {}}
    for variable in variables:
        found = meaning(variable)
        if found is not None and found.item and server_of(found, known) == server:
            items["bucket" if found.property == "bucket" else "database"][found.item] = None
    databases = tuple(items["database"]) if server.kind in SQL else ()
    return Server(
        server.name,
        server.kind,
        server.because,
        server.composed,
        server.known,
        server.sure,
        databases,
        tuple(items["bucket"]),
    )


def proposed(server: Server) -> Proposed:
    """The service that stands for *server*."""
    declared = [("databases", server.databases), ("buckets", server.buckets)]
    entries = tuple(Entry(key, Flow(names), "named in the variables") for key, names in declared if names)
    body = IMAGES.get(server.kind) or ((Entry("with", entries),) if entries else ())
    title = TITLES[server.kind].replace("${db.", f"${{{server.name}.")
    return Proposed(server.name, "" if server.kind in IMAGES else server.kind, title, server.because, body, server.sure)


def all_servers(known: dict[str, Server]) -> Iterator[Proposed]:
    """The servers that the Compose file has not already."""
    return (proposed(server) for server in known.values() if not server.composed)
