"""Read `.env.example` and similar files: the project's variables, and the property of a server that each variable stands for."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from envctl.init.model import ExampleVariable
from envctl.init.project_files import ProjectFiles

FILES = (
    ".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", ".env.test.example", "example.env", "sample.env",
    ".env.*.example", ".env.*.sample", ".env.example.*", "*.env.example", "env-example*", ".env-example", ".env_example", ".envrc.example",
)  # fmt: skip
LOCAL_FILES = (".env", "*.env", ".env.test", ".env.testing", ".env.ci", ".env.development", ".env.dev", ".env.local")
"""Developers' own files. Their references to servers are used; their other values may be private and are not copied."""
MAX_VARIABLES = 200
_LINE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([^\r\n]*))""")
_SHELL_REFERENCE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")
SCHEMES = {
    "postgres": "postgres", "postgresql": "postgres", "pgsql": "postgres", "psql": "postgres", "mysql": "mariadb",
    "mysql2": "mariadb", "mariadb": "mariadb", "trilogy": "mariadb", "redis": "valkey", "rediss": "valkey",
    "valkey": "valkey", "amqp": "rabbitmq", "amqps": "rabbitmq", "nats": "nats", "mqtt": "mqtt", "mqtts": "mqtt",
    "memcached": "memcached", "smtp": "mail", "smtps": "mail", "mongodb": "mongo", "mongodb+srv": "mongo",
}  # fmt: skip
PREFIXES = (
    (r"(?:POSTGRES(?:QL)?|SPRING_R2DBC)_|PG_?", "postgres"),
    (r"(?:MYSQL|MARIADB)_", "mariadb"),
    (r"(?:(?:TEST_)?(?:DB|DATABASE)|SQL|SPRING_DATASOURCE|DATASOURCE)_", "database"),
    (r"(?:REDIS|VALKEY|CACHE_REDIS|SPRING_(?:DATA_)?REDIS)_", "valkey"),
    (r"(?:RABBIT(?:MQ)?|AMQP|SPRING_RABBITMQ)_", "rabbitmq"),
    (r"NATS_", "nats"),
    (r"(?:KAFKA|SPRING_KAFKA)_", "kafka"),
    (r"MQTT_", "mqtt"),
    (r"MEMCACHED?_", "memcached"),
    (r"(?:SMTP|MAIL|EMAIL|SPRING_MAIL)_", "mail"),
    (r"(?:AWS_STORAGE|AWS_S3|AWS|S3|MINIO(?:_ROOT)?)_", "s3"),
    (r"(?:MONGO(?:DB)?|SPRING_DATA_MONGODB)_", "mongo"),
    (r"(?:ELASTIC(?:SEARCH)?|OPENSEARCH)_", "elasticsearch"),
)
"""Patterns for the beginning of a variable's name, each with the kind that it refers to."""
SUFFIXES = (
    (r"JDBC_URL", "jdbc_url"),
    (r"URL|URI|DSN|CONNECTION_STRING", "url"),
    (r"HOST|HOSTNAME|SERVER", "host"),
    (r"PORT|TCP_PORT", "port"),
    (r"USER|USERNAME|HOST_USER|DEFAULT_USER", "username"),
    (r"PASSWORD|PASS|HOST_PASSWORD|DEFAULT_PASS", "password"),
    (r"NAME|DATABASE|DB|DBNAME|DATABASE_NAME", "database"),
    (r"(?:BOOTSTRAP_)?(?:SERVERS?|BROKERS?)|BOOTSTRAP|BROKER_URL|BROKER_LIST|HOSTS", "servers"),
    (r"ENDPOINT(?:_URL)?(?:_S3)?", "endpoint"),
    (r"ACCESS_KEY(?:_ID)?", "access_key"),
    (r"SECRET_KEY|SECRET_ACCESS_KEY", "secret_key"),
    (r"REGION|DEFAULT_REGION|REGION_NAME", "region"),
    (r"BUCKET|BUCKET_NAME", "bucket"),
)
"""Patterns for the end of a variable's name, each with the property that it refers to."""
PROPERTIES = {
    "postgres": "url host port username password database jdbc_url",
    "mariadb": "url host port username password database jdbc_url",
    "database": "url host port username password database jdbc_url",
    "valkey": "url host port username password",
    "rabbitmq": "url host port username password",
    "nats": "url host port username password servers",
    "kafka": "url servers",
    "mqtt": "url host port username password",
    "memcached": "url host port servers",
    "mail": "url host port username password",
    "s3": "url endpoint access_key secret_key region bucket",
    "mongo": "url host port",
    "elasticsearch": "url host port servers",
}
OTHERS = frozenset([
    "MONGO", "MONGODB", "CLICKHOUSE", "CASSANDRA", "SCYLLA", "NEO4J", "INFLUX", "INFLUXDB", "DYNAMO", "DYNAMODB", "COUCH", "COUCHDB",
    "COUCHBASE", "ORACLE", "MSSQL", "SQLSERVER", "SQLITE", "SNOWFLAKE", "BIGQUERY", "REDSHIFT", "DUCKDB", "SURREAL", "ARANGO", "ARANGODB",
    "FIREBASE", "SUPABASE", "VECTOR", "REDIS", "KAFKA", "RABBITMQ", "ELASTIC", "ELASTICSEARCH",
])  # fmt: skip
"""Words before `DB_URL` and similar names that make the variable the address of another kind of server."""
ELSEWHERE = frozenset([
    "SOURCE", "TARGET", "SRC", "DEST", "OLD", "NEW", "LEGACY", "REMOTE", "PROD", "PRODUCTION", "STAGING", "BACKUP", "ANALYTICS", "GEO",
    "EXTERNAL",
])  # fmt: skip
"""Words before a usual name that make the variable refer to another server than the server of the tests."""
AMBIGUOUS = ("database", "mail", "s3")
"""Kinds whose prefixes are used for other things too: a variable's name alone does not show that the server is needed."""
SQL = ("postgres", "mariadb")
_ITEM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")


class ServerProperty(NamedTuple):
    """The property of a server that a variable stands for, such as the `url`, `host` or `database` of a kind."""

    kind: str
    """The kind of server; `database` stands for any SQL server of the project."""
    name: str
    item: str = ""
    """The database or bucket in the value; empty if there is none."""
    scheme: str = ""
    query: str = ""
    implies_server: bool = False
    """Whether the variable alone shows that the project needs the server."""


LONGEST_NAME, MAX_LINES = 100, 5000
"""The longest variable name that is analysed, in characters, and the largest number of lines read from a file."""
MAX_VALUE = 4096
"""The longest value, in characters. References between variables could double a value with each line."""


def variables(project: ProjectFiles) -> list[ExampleVariable]:
    """Return the variables of all example and local files. If files in one folder set the same variable, the first file's value counts."""
    found: dict[tuple[str, str], ExampleVariable] = {}
    examples = project.named(*FILES)
    for path in [*examples, *(path for path in project.named(*LOCAL_FILES) if path not in examples)]:
        origin = "example" if path in examples else "code"
        known: dict[str, str] = {}
        for line in islice(project.text(path).splitlines(), MAX_LINES):
            match = _LINE.match(line) if len(line) <= MAX_VALUE else None
            if match is None or len(value := _expanded(_value(match), known)) > MAX_VALUE:
                continue
            known[match[1]] = value
            found.setdefault((str(path.parent), match[1]), ExampleVariable(match[1], value, path, origin))
    return list(found.values())[:MAX_VARIABLES]


def _value(match: re.Match[str]) -> str:
    if match[2] is not None:
        return match[2].replace('\\"', '"').replace("\\n", "\n")
    if match[3] is not None:
        return match[3]
    return re.sub(r"(^|\s)#.*$", "", match[4]).strip()


def _expanded(value: str, known: dict[str, str]) -> str:
    return _SHELL_REFERENCE.sub(lambda match: known.get(match[1] or match[3]) or match[2] or "", value)


@lru_cache(maxsize=4096)
def server_property(variable: ExampleVariable) -> ServerProperty | None:
    """Return the property of a server that *variable* stands for; None if it does not refer to a server."""
    return _by_scheme(variable) or (_by_name(variable) if len(variable.name) <= LONGEST_NAME else None)


def split_url(value: str) -> SplitResult | None:
    """Return the parts of the URL *value*; None if *value* is not a valid URL."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and "://" in value else None


def sql_dialect(variable: ExampleVariable) -> str:
    """Return the kind in a setting like `DB_CONNECTION=pgsql`; empty if *variable* is no such setting."""
    if not re.fullmatch(r"(?:DB|DATABASE)_(?:CONNECTION|ENGINE|DRIVER|CLIENT|DIALECT|TYPE|PROVIDER|ADAPTER)", variable.name):
        return ""
    value = variable.value.lower()
    if re.search(r"pgsql|postgres|^pg$", value):
        return "postgres"
    return "mariadb" if re.search(r"mysql|mariadb", value) else ""


def _by_scheme(variable: ExampleVariable) -> ServerProperty | None:
    value = variable.value.removeprefix("jdbc:")
    parts = split_url(value)
    if parts is None:
        return None
    kind = SCHEMES.get(parts.scheme) or SCHEMES.get(parts.scheme.partition("+")[0])
    if kind is None:
        return None
    query = f"?{parts.query}" if parts.query and kind in SQL and "=" in parts.query and "$" not in parts.query else ""
    if value != variable.value:
        return ServerProperty(kind, "jdbc_url", _item(parts), parts.scheme, query, implies_server=True)
    return ServerProperty(kind, "url", _item(parts), parts.scheme, query, implies_server=True)


def _item(parts: SplitResult) -> str:
    name = unquote(parts.path.strip("/"))
    return name if _ITEM_NAME.fullmatch(name) else ""


def _by_name(variable: ExampleVariable) -> ServerProperty | None:
    name = re.sub(r"_TESTS?$", "", variable.name.upper())
    if name == "PGDATABASE":
        return ServerProperty("postgres", "database", variable.value if _ITEM_NAME.fullmatch(variable.value) else "")
    for prefix, kind in PREFIXES:
        for suffix, prop in SUFFIXES:
            if prop not in PROPERTIES[kind].split() or not re.fullmatch(f"(?:{prefix})(?:{suffix})", name):
                continue
            item = variable.value if prop in ("database", "bucket") and _ITEM_NAME.fullmatch(variable.value) else ""
            return _unless_elsewhere(ServerProperty(kind, prop, item, implies_server=kind not in AMBIGUOUS), variable)
    # In `ORDERS_DB_URL`, the name of a project or service comes before a usual name.
    first, _, shorter = name.partition("_")
    if first in ELSEWHERE:
        return None
    found = _by_name(variable._replace(name=shorter)) if shorter else None
    if found is not None and first in OTHERS and found.kind in ("database", *SQL):
        return None
    return found._replace(implies_server=False) if found is not None and found.kind not in ("mail", "s3") else None


def _unless_elsewhere(found: ServerProperty, variable: ExampleVariable) -> ServerProperty | None:
    """Return None if the value does not refer to a server of the kind, otherwise *found*.

    `DATABASE_URL=sqlite:///x.db`, for example, refers to no server.
    """
    parts = split_url(variable.value)
    if found.name == "url" and parts is not None and parts.scheme not in ("http", "https", "jdbc", "tcp", "kafka"):
        return None
    if variable.value.startswith(("jdbc:", "sqlite", "file:")):
        return None
    return found
