"""Read dependency manifests: the names of the project's dependencies, and the drivers of servers among them.

To support another manifest, add an entry to MANIFESTS; for another driver, add its name to DRIVERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from envctl.init.model import Driver
from envctl.init.project_files import ProjectFiles, as_list, as_map

Reader = Callable[[ProjectFiles, PurePosixPath], Iterable[str]]
LONGEST, MAX_EXTRAS = 214, 50
"""The longest name of a package in characters (npm allows the longest), and the largest number of extras that are read."""
_PYTHON = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")


class Dependency(NamedTuple):
    """A dependency in one manifest.

    `name` is written as in DRIVERS: in lower case, with `-` for `_`. Each extra of a package is another dependency, `name[extra]`.
    """

    name: str
    file: PurePosixPath


def dependencies(project: ProjectFiles) -> list[Dependency]:
    """Return the dependencies in all manifests of the project; a name occurs once for each file that contains it."""
    found: dict[Dependency, None] = {}
    for pattern, read in MANIFESTS.items():
        for path in project.named(pattern):
            for name in read(project, path):
                found[Dependency(name.strip().lower().replace("_", "-"), path)] = None
    return list(found)


def _with_extras(name: str, extras: Iterable[object]) -> Iterator[str]:
    if len(name) <= LONGEST:
        yield name
        yield from (f"{name}[{str(extra).strip()}]" for extra in islice(extras, MAX_EXTRAS))


def _python(requirement: object) -> Iterator[str]:
    if match := _PYTHON.match(str(requirement)):
        yield from _with_extras(match[1], match[2].split(",") if match[2] else ())


def _requirements(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    """Yield the requirements in the file. A file compiled from a `.in` file is skipped, because it also lists indirect dependencies."""
    if path.suffix == ".txt" and project.has(path.with_suffix(".in")):
        return
    for line in project.text(path).splitlines():
        if not line.lstrip().startswith(("#", "-")):
            yield from _python(line)


def _pyproject(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    standard, tool = as_map(tree.get("project")), as_map(tree.get("tool"))
    groups = [*as_map(standard.get("optional-dependencies")).values(), *as_map(tree.get("dependency-groups")).values()]
    for listed in (standard.get("dependencies"), as_map(tool.get("uv")).get("dev-dependencies"), *groups):
        for requirement in as_list(listed):
            yield from _python(requirement)
    poetry = as_map(tool.get("poetry"))
    for table in (poetry, *map(as_map, as_map(poetry.get("group")).values())):
        for key in ("dependencies", "dev-dependencies"):
            yield from _table(table.get(key), "extras")


def _table(table: object, extras: str) -> Iterator[str]:
    for name, value in as_map(table).items():
        yield from _with_extras(name, as_list(as_map(value).get(extras)))


def _tables(*keys: str) -> Reader:
    """Return a reader that yields the names in the tables of a file under *keys*."""

    def read(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
        tree = project.tree(path)
        for key in keys:
            yield from _table(tree.get(key), "extras")

    return read


def _found(*patterns: str) -> Reader:
    return lambda project, path: [name for pattern in patterns for name in re.findall(pattern, project.text(path), re.MULTILINE)]


def _go(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    for line in project.text(path).splitlines():
        match = re.match(r"\s*(?:require\s+)?([\w.-]++/\S+)\s+v\d", line)
        if match and "." in match[1].partition("/")[0] and "// indirect" not in line:
            yield re.sub(r"/v\d+$", "", match[1])


def _cargo(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("dependencies", "dev-dependencies"):
        yield from _table(tree.get(key), "features")
        yield from _table(as_map(tree.get("workspace")).get(key), "features")


_gradle = _found(r"""["'][\w.-]+:([\w.-]+)(?::[^"']*)?["']""", r"""\bid\s*+\(?\s*+["']([\w.-]+)["']""")
"""Matches `group:artifact:version` in quotes, and the ids of plugins."""
MANIFESTS: dict[str, Reader] = {
    "requirements*.txt": _requirements,
    "requirements*.in": _requirements,
    "pyproject.toml": _pyproject,
    "Pipfile": _tables("packages", "dev-packages"),
    "package.json": _tables("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"),
    "go.mod": _go,
    "Gemfile": _found(r"""^[ \t]*+gem\s*+\(?["']([\w.-]+)["']"""),
    "pom.xml": _found(r"<artifactId>\s*([\w.-]+)\s*</artifactId>"),
    "build.gradle": _gradle,
    "build.gradle.kts": _gradle,
    "composer.json": _tables("require", "require-dev"),
    "Cargo.toml": _cargo,
    "*.csproj": _found(r"""<PackageReference\s[^<>]*Include="([\w.-]+)\""""),
}
"""Patterns of file names, each with the function that reads the dependencies in such a file."""
DRIVERS: dict[str, str] = {
    "postgres": (
        "psycopg psycopg2 psycopg2-binary psycopg-binary asyncpg pg8000 aiopg django[postgres] pg postgres "
        "pg-promise pgx npgsql npgsql.entityframeworkcore.postgresql postgresql r2dbc-postgresql "
        "quarkus-jdbc-postgresql tokio-postgres deadpool-postgres sqlx[postgres] diesel[postgres] "
        "sea-orm[sqlx-postgres] ext-pgsql ext-pdo-pgsql github.com/jackc/pgx github.com/lib/pq "
        "gorm.io/driver/postgres github.com/go-pg/pg"
    ),
    "mariadb": (
        "pymysql mysqlclient aiomysql asyncmy mariadb mysql-connector-python mysql mysql2 mysql-connector-j "
        "mysql-connector-java mariadb-java-client quarkus-jdbc-mysql quarkus-jdbc-mariadb mysqlconnector "
        "pomelo.entityframeworkcore.mysql trilogy ext-mysqli ext-pdo-mysql sqlx[mysql] diesel[mysql] mysql-async "
        "github.com/go-sql-driver/mysql gorm.io/driver/mysql"
    ),
    "valkey": (
        "redis ioredis @redis/client valkey valkey-glide iovalkey aioredis django-redis celery[redis] rq arq "
        "hiredis bull bullmq sidekiq resque jedis lettuce-core redisson spring-boot-starter-data-redis "
        "quarkus-redis-client stackexchange.redis predis/predis ext-redis fred github.com/redis/go-redis "
        "github.com/go-redis/redis github.com/gomodule/redigo github.com/valkey-io/valkey-go "
        "github.com/hibiken/asynq"
    ),
    "rabbitmq": (
        "pika aio-pika kombu amqp amqplib amqp-connection-manager rhea dramatiq[rabbitmq] bunny sneakers lapin "
        "amqprs amqp-client spring-boot-starter-amqp spring-rabbit rabbitmq.client masstransit.rabbitmq "
        "php-amqplib/php-amqplib ext-amqp faststream[rabbit] github.com/rabbitmq/amqp091-go "
        "github.com/streadway/amqp"
    ),
    "nats": (
        "nats-py nats nats.ws @nats-io/transport-node @nats-io/nats-core async-nats nats-pure jnats nats.client "
        "nats.net faststream[nats] github.com/nats-io/nats.go"
    ),
    "kafka": (
        "kafka-python kafka-python-ng confluent-kafka aiokafka kafkajs node-rdkafka @confluentinc/kafka-javascript "
        "rdkafka ruby-kafka karafka kafka-clients spring-kafka quarkus-kafka-client confluent.kafka "
        "faststream[kafka] github.com/segmentio/kafka-go github.com/confluentinc/confluent-kafka-go "
        "github.com/ibm/sarama github.com/shopify/sarama github.com/twmb/franz-go"
    ),
    "mqtt": (
        "paho-mqtt aiomqtt asyncio-mqtt gmqtt mqtt async-mqtt rumqttc paho-mqtt-c org.eclipse.paho.client.mqttv3 "
        "hivemq-mqtt-client mqttnet php-mqtt/client github.com/eclipse/paho.mqtt.golang"
    ),
    "s3": (
        "minio django-storages[s3] s3fs @aws-sdk/client-s3 aws-sdk-s3 awssdk.s3 rust-s3 github.com/minio/minio-go "
        "github.com/aws/aws-sdk-go-v2/service/s3 boto3 aioboto3 aiobotocore aws-sdk github.com/aws/aws-sdk-go "
        "aws/aws-sdk-php"
    ),
    "memcached": (
        "pymemcache python-memcached pylibmc aiomcache memjs memcached dalli spymemcached xmemcached "
        "enyimmemcachedcore ext-memcached github.com/bradfitz/gomemcache"
    ),
    "mail": (
        "aiosmtplib nodemailer spring-boot-starter-mail quarkus-mailer mailkit lettre phpmailer/phpmailer "
        "symfony/mailer fastapi-mail flask-mail"
    ),
    "mongo": (
        "pymongo motor mongoengine beanie mongodb mongoose mongoid mongo mongodb-driver-sync "
        "spring-boot-starter-data-mongodb mongodb.driver mongodb/mongodb ext-mongodb go.mongodb.org/mongo-driver"
    ),
    "elasticsearch": ("elasticsearch @elastic/elasticsearch elastic-transport github.com/elastic/go-elasticsearch elasticsearch-java"),
}
"""Kinds, each with the names of its drivers in all languages, separated by spaces."""
OPTIONAL = ("mail", "s3")
"""Kinds whose driver alone does not show that the tests need the server. For example, boto3 is a client of all AWS services."""
_KIND = {name: kind for kind, names in DRIVERS.items() for name in names.split()}


def drivers(found: Iterable[Dependency]) -> list[Driver]:
    """Return the drivers of servers among the dependencies *found*."""
    known = [(_KIND[dependency.name], dependency) for dependency in found if dependency.name in _KIND]
    return [Driver(kind, dependency.name, dependency.file, kind not in OPTIONAL) for kind, dependency in known]
