"""Which dependency speaks to which kind of server. A new driver is one more name in this table."""

from __future__ import annotations

from collections.abc import Iterable

from envctl.init.dependencies import Dependency
from envctl.init.model import Driver

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
"""Kind to the names of its drivers, of every language."""
OPTIONAL = ("mail", "s3")
"""Kinds whose driver a project may have without its tests needing the server: boto3 speaks to S3, and to all else of AWS."""
_KIND = {name: kind for kind, names in DRIVERS.items() for name in names.split()}


def drivers(found: Iterable[Dependency]) -> list[Driver]:
    known = [(_KIND[dependency.name], dependency) for dependency in found if dependency.name in _KIND]
    return [Driver(kind, dependency.name, dependency.file, kind not in OPTIONAL) for kind, dependency in known]
