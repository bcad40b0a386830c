"""RabbitMQ, NATS, Kafka and MQTT: messages through real clients."""

from __future__ import annotations

import asyncio
import json
import queue
import secrets
import socket
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

import amqp
import nats
import paho.mqtt.client as mqtt
import pytest
import requests
from amqp.exceptions import AccessRefused
from paho.mqtt.enums import CallbackAPIVersion
from requests.auth import HTTPBasicAuth

from tests.kinds.listening import listens_here_alone
from tests.kinds.support import PASSWORD, USERNAME, Running, Url, bring_up, refused, text
from tests.support import Project

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python uses deprecated parts of importlib.resources
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")

VHOST = "te nant/ü%\"'$#"
SERVICES = f"""
services:
  rabbit:
    kind: rabbitmq
    with:
      username: {text(USERNAME)}
      password: {text(PASSWORD)}
      management: true
      virtual_hosts: [/, tenant, {text(VHOST)}]
      users:
        worker: {{}}
        {text("x" + USERNAME)}: {{password: {text(PASSWORD)}, tags: monitoring}}
        narrow: {{permissions: {{/: {{read: seeded}}}}}}
      exchanges: {{events: {{type: topic}}, all: {{type: fanout}}}}
      queues:
        orders: {{arguments: {{x-max-length: 3}}}}
        "tenant's": {{virtual_host: tenant, durable: false}}
        seeded: {{}}
        short: {{}}
      bindings:
        - {{exchange: events, queue: orders, routing_key: "order.*"}}
        - {{exchange: events, queue: seeded, routing_key: seed}}
        - {{exchange: all, to_exchange: events, routing_key: ""}}
      policies: {{short: {{pattern: ^short$, apply_to: queues, definition: {{max-length: 1}}}}}}
    seed:
      - messages:
          - {{queue: seeded, json: {{ü: 1}}, headers: {{x: 1}}}}
          - {{exchange: all, routing_key: seed, base64: AP8=}}
          - {{queue: "tenant's", virtual_host: tenant, body: theirs}}
          - {{queue: short, body: "1"}}
          - {{queue: short, body: "2"}}
  nats:
    kind: nats
    with:
      username: {text(USERNAME)}
      password: {text(PASSWORD)}
      max_payload: 2MB
      accounts: [tenant, {text("x" + USERNAME)}]
      users:
        narrow: {{publish: ["_INBOX.>"], subscribe: ["seeded.*"]}}
        {text("y" + USERNAME)}: {{account: tenant, password: {text(PASSWORD)}}}
      streams:
        seeded: {{subjects: ["seeded.>"], max_age: 10m, consumers: {{reader: {{subjects: ["seeded.b"]}}}}}}
        theirs: {{account: tenant, storage: memory}}
    seed:
      - messages: seeds/messages.jsonl
  hashed: {{kind: nats, with: {{password: "$2a$10$looks.like.a.hash", jetstream: false}}}}
  kafka:
    kind: kafka
    with:
      partitions: 2
      topics:
        orders: {{partitions: 3, config: {{cleanup.policy: compact}}}}
        order-events.v1: {{}}
        seeded: {{partitions: 3}}
      settings: {{message.max.bytes: 2000000}}
    seed:
      - messages:
          - {{topic: seeded, key: k, json: {{ü: 1}}, headers: {{who: me}}, partition: 2}}
          - {{topic: seeded, key: 7, partition: 2}}
  mqtt:
    kind: mqtt
    with:
      username: {text(USERNAME)}
      password: {text(PASSWORD)}
      users: {{sensor: {{}}, {text("x" + USERNAME)}: {{password: {text(PASSWORD)}}}, narrow: {{subscribe: ["seeded/#"]}}}}
      settings: {{max_packet_size: 300000}}
    seed:
      - messages: {{topic: seeded/1, body: "21 ü", retain: true}}
"""
OPEN = """
  open-mqtt: {kind: mqtt, with: {password: ""}, seed: [{messages: {topic: seeded/1, body: hello, retain: true}}]}
  # A user of its own, and no password for everybody else.
  open-mqtt-users: {kind: mqtt, with: {password: "", users: [sensor]}}
  open-nats: {kind: nats, with: {password: "", users: [sensor], streams: {seeded: {}}}}
"""
OUTPUTS = {
    "OPEN_MQTT": "${open-mqtt.url}",
    "OPEN_MQTT_USERS": "${open-mqtt-users.url}",
    "OPEN_MQTT_SENSOR": "${open-mqtt-users.users.sensor.url}",
    "OPEN_NATS": "${open-nats.url}",
    "OPEN_NATS_SENSOR": "${open-nats.users.sensor.url}",
    "RABBIT": "${rabbit.url}",
    "RABBIT_TENANT": "${rabbit.virtual_hosts.tenant.url}",
    "RABBIT_ODD": "${(rabbit.virtual_hosts.values()|list)[2].url}",
    "RABBIT_WORKER": "${rabbit.users.worker.url}",
    "RABBIT_OTHER": "${(rabbit.users.values()|list)[1].url}",
    "RABBIT_PAGE": "${rabbit.management_url}",
    "ORDERS_QUEUE": "${rabbit.queues.orders.name}",
    "NATS": "${nats.url}",
    "NATS_MONITOR": "${nats.monitor_url}",
    "HASHED": "${hashed.url}",
    "KAFKA": "${kafka.bootstrap}",
    "EVENTS_TOPIC": '${kafka.topics["order-events.v1"].name}',
    "KAFKA_INSIDE": "${kafka.inside.bootstrap}",
    "MQTT": "${mqtt.url}",
    "MQTT_NARROW": "${mqtt.users.narrow.url}",
    "RABBIT_NARROW": "${rabbit.users.narrow.url}",
    "NATS_NARROW": "${nats.users.narrow.url}",
    "NATS_TENANT": "${nats.accounts.tenant.url}",
    "NATS_ODD": "${(nats.accounts.values()|list)[1].url}",
    "NATS_THEIRS": "${(nats.users.values()|list)[1].url}",
    "MQTT_SENSOR": "${mqtt.users.sensor.url}",
    "MQTT_OTHER": "${(mqtt.users.values()|list)[1].url}",
}


MESSAGES = """{"subject": "seeded.a", "body": "1", "jetstream": true}
{"subject": "seeded.b", "json": {"ü": 1}, "headers": {"who": "me"}, "jetstream": true}
{"subject": "nobody.listens", "body": "2"}
"""


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    home.write("environments/seeds/messages.jsonl", MESSAGES)
    return bring_up(home, "brokers", SERVICES + OPEN, OUTPUTS)


@contextmanager
def rabbit(url: str, **changed: str) -> Iterator[Any]:
    """Yield a channel of a new connection; *changed* replaces connection arguments."""
    at = Url.of(url)
    given = {"userid": at.username, "password": at.password, "virtual_host": at.path} | changed
    connection = amqp.Connection(host=f"{at.host}:{at.port}", login_method="PLAIN", connect_timeout=10, read_timeout=10, **given)
    try:
        connection.connect()
        yield connection.channel()
        connection.close()
    finally:
        connection.collect()


@pytest.mark.parametrize("who", ["RABBIT", "RABBIT_TENANT", "RABBIT_ODD", "RABBIT_WORKER", "RABBIT_OTHER"])
def test_rabbitmq_with_every_user_and_virtual_host(up: Running, who: str) -> None:
    body = secrets.token_hex(8)
    with rabbit(up[who]) as channel:
        name, _, _ = channel.queue_declare(exclusive=True)
        channel.basic_publish_confirm(amqp.Message(body), routing_key=name)
        assert channel.basic_get(name, no_ack=True).body == body


def test_rabbitmq_declares_what_the_definition_says(up: Running) -> None:
    with rabbit(up["RABBIT"]) as channel:
        channel.queue_declare(up["ORDERS_QUEUE"], passive=True)
        for number in range(5):
            channel.basic_publish_confirm(amqp.Message(str(number)), exchange="events", routing_key="order.made")
        kept = [channel.basic_get("orders", no_ack=True).body for _ in range(3)]
        assert kept == ["2", "3", "4"], "bound, and no longer than it may be"
        assert channel.basic_get("orders") is None
    with rabbit(up["RABBIT_TENANT"]) as channel:
        channel.queue_declare("tenant's", passive=True)
        with pytest.raises(amqp.exceptions.NotFound):
            channel.queue_declare("orders", passive=True)


def test_messages_that_are_seeded_in_rabbitmq(up: Running) -> None:
    with rabbit(up["RABBIT_NARROW"]) as channel:
        first, second = (channel.basic_get("seeded", no_ack=True) for _ in range(2))
        assert (first.body, first.properties["content_type"], first.headers) == ('{"ü": 1}'.encode(), "application/json", {"x": 1})
        assert second.body == b"\0\xff", "from one exchange to the other"
        with pytest.raises(AccessRefused):
            channel.basic_get("orders")
    with rabbit(up["RABBIT"]) as channel:
        assert channel.basic_get("short", no_ack=True).body == b"2", "as the policy says"
    with rabbit(up["RABBIT_TENANT"]) as channel:
        assert channel.basic_get("tenant's", no_ack=True).body == b"theirs"


def test_the_management_page_of_rabbitmq(up: Running) -> None:
    at = Url.of(up["RABBIT_PAGE"])
    where = f"http://{at.host}:{at.port}/api/vhosts"
    with requests.Session() as session:
        # requests would encode str as Latin-1.
        found = session.get(where, auth=HTTPBasicAuth(at.username.encode(), at.password.encode()), timeout=10)
        assert sorted(host["name"] for host in found.json()) == sorted(["/", "tenant", VHOST])
        assert session.get(where, auth=("worker", "wrong"), timeout=10).status_code == 401


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"userid": "guest", "password": "guest"}, {"userid": "worker"}])
def test_rabbitmq_refuses_wrong_credentials(up: Running, changed: dict[str, str]) -> None:
    with pytest.raises(AccessRefused), rabbit(up["RABBIT"], **changed):
        pass


async def _nats(url: str) -> Any:
    """Connect to NATS; unlike other clients, nats-py does not decode the credentials in a URL, so they are passed separately."""
    at = Url.of(url)
    return await nats.connect(f"nats://{at.host}:{at.port}", user=at.username, password=at.password, allow_reconnect=False)


@pytest.mark.parametrize("who", ["NATS", "HASHED", "OPEN_NATS", "OPEN_NATS_SENSOR"])
def test_nats_hands_messages_on(up: Running, who: str) -> None:
    async def talk() -> bytes:
        client = await _nats(up[who])
        subscription = await client.subscribe("orders.*")
        await client.publish("orders.made", "bestellt: ü".encode())
        message = await subscription.next_msg(timeout=10)
        await client.close()
        return bytes(message.data)

    assert asyncio.run(talk()) == "bestellt: ü".encode()


def test_nats_keeps_streams(up: Running) -> None:
    async def talk() -> tuple[int, bytes]:
        client = await _nats(up["NATS"])
        stream = client.jetstream()
        await stream.add_stream(name="orders", subjects=["kept.>"])
        await stream.publish("kept.one", b"1")
        subscription = await stream.pull_subscribe("kept.>", "reader")
        (message,) = await subscription.fetch(1, timeout=10)
        await client.close()
        return client.max_payload, bytes(message.data)

    assert asyncio.run(talk()) == (2 << 20, b"1")


def test_messages_that_are_seeded_in_nats(up: Running) -> None:
    async def talk() -> tuple[Any, Any]:
        client = await _nats(up["NATS"])
        stream = client.jetstream()
        info = await stream.stream_info("seeded")
        subscription = await stream.pull_subscribe_bind(consumer="reader", stream="seeded")
        (message,) = await subscription.fetch(1, timeout=10)
        await client.close()
        return (info.config.max_age, info.state.messages), (message.data, message.headers)

    kept, got = asyncio.run(talk())
    assert kept == (600, 2)
    assert got == ('{"ü": 1}'.encode(), {"who": "me"})


def test_a_user_of_nats_with_few_rights(up: Running) -> None:
    async def talk() -> list[str]:
        client, told = await _nats(up["NATS_NARROW"]), list[str]()
        refused = asyncio.Event()

        async def tell(error: Exception) -> None:
            told.append(str(error))
            refused.set()

        client._error_cb = tell
        await client.subscribe("orders.*")
        await asyncio.wait_for(refused.wait(), 10)
        await client.close()
        return told

    assert "permissions violation" in asyncio.run(talk())[0].lower()


@pytest.mark.parametrize(("who", "streams"), [("NATS_TENANT", ["theirs"]), ("NATS_THEIRS", ["theirs"]), ("NATS_ODD", [])])
def test_accounts_of_nats_have_streams_of_their_own(up: Running, who: str, streams: list[str]) -> None:
    async def talk() -> list[str]:
        client = await _nats(up[who])
        found = [stream.config.name for stream in await client.jetstream().streams_info()]
        await client.close()
        return found

    assert asyncio.run(talk()) == streams


@pytest.mark.parametrize("who", ["NATS", "HASHED"])
@pytest.mark.parametrize("changed", [{"pass": "wrong"}, {"user": "other"}, {"user": None, "pass": None}])
def test_nats_refuses_wrong_credentials(up: Running, who: str, changed: dict[str, str | None]) -> None:
    """The test speaks the protocol itself: nats-py sometimes leaves its connection open when it is refused."""
    at = Url.of(up[who])
    given = {"user": at.username, "pass": at.password, "verbose": False} | changed
    options = json.dumps({key: value for key, value in given.items() if value is not None})
    with socket.create_connection((at.host, at.port), timeout=10) as connection, connection.makefile("rwb") as stream:
        assert stream.readline().startswith(b"INFO ")
        stream.write(f"CONNECT {options}\r\nPING\r\n".encode())
        stream.flush()
        assert stream.readline() == b"-ERR 'Authorization Violation'\r\n"


def test_the_monitoring_page_of_nats(up: Running) -> None:
    with requests.Session() as session:
        assert session.get(f"{up['NATS_MONITOR']}/varz", timeout=10).json()["auth_required"] is True


@contextmanager
def consumer(up: Running, topic: str) -> Iterator[Any]:
    found = KafkaConsumer(topic, bootstrap_servers=up["KAFKA"], auto_offset_reset="earliest", consumer_timeout_ms=15000)
    try:
        yield found
    finally:
        found.close()


def received(up: Running, topic: str, value: bytes) -> bool:
    with consumer(up, topic) as messages:
        return any(message.value == value for message in messages)


def test_kafka_from_outside(up: Running) -> None:
    value = secrets.token_bytes(16)
    with closing(KafkaProducer(bootstrap_servers=up["KAFKA"])) as producer:
        producer.send(up["EVENTS_TOPIC"], value).get(timeout=15)
    assert received(up, up["EVENTS_TOPIC"], value)


def test_kafka_from_inside(up: Running) -> None:
    value = secrets.token_hex(8)
    tool = f"/opt/kafka/bin/kafka-console-producer.sh --bootstrap-server {up['KAFKA_INSIDE']}"
    send = f"echo key:{value} | {tool} --topic orders --property parse.key=true --property key.separator=:"
    assert up["KAFKA_INSIDE"] != up["KAFKA"]
    up.execute("kafka", "bash", "-c", send).ok()
    assert received(up, "orders", value.encode())


def test_records_that_are_seeded_in_kafka(up: Running) -> None:
    with consumer(up, "seeded") as messages:
        found = [next(messages) for _ in range(2)]
    assert [(each.partition, each.key, each.value) for each in found] == [(2, b"k", '{"ü": 1}'.encode()), (2, b"7", None)]
    assert found[0].headers == [("who", b"me")]


def test_topics_of_kafka(up: Running) -> None:
    admin = KafkaAdminClient(bootstrap_servers=up["KAFKA"])
    try:
        found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(["orders", "order-events.v1"])}
    finally:
        admin.close()
    assert found == {"orders": 3, "order-events.v1": 2}
    told = up.execute("kafka", "/opt/kafka/bin/kafka-configs.sh", *_described("topics", "orders")).ok().out
    assert "cleanup.policy=compact" in told


def _described(type: str, name: str) -> list[str]:
    return ["--bootstrap-server", "127.0.0.1:9092", "--describe", "--entity-type", type, "--entity-name", name]


@contextmanager
def mosquitto(url: str, **changed: str) -> Iterator[tuple[Any, queue.Queue[Any]]]:
    """Yield a client that tries to connect, and a queue of the reason codes and messages that it receives."""
    at = Url.of(url)
    given = {"username": at.username, "password": at.password} | changed
    told: queue.Queue[Any] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if given["username"]:
        client.username_pw_set(given["username"], given["password"])
    client.on_connect = lambda _, __, ___, code, ____: told.put(code)
    client.on_subscribe = lambda _, __, ___, codes, ____: told.put(codes)
    client.on_message = lambda _, __, message: told.put(message.payload)
    client.connect(at.host, at.port)
    client.loop_start()
    try:
        yield client, told
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("who", ["MQTT", "MQTT_SENSOR", "MQTT_OTHER", "OPEN_MQTT", "OPEN_MQTT_USERS", "OPEN_MQTT_SENSOR"])
def test_mqtt_with_every_user(up: Running, who: str) -> None:
    with mosquitto(up[who]) as (client, told):
        assert not told.get(timeout=10).is_failure
        client.subscribe("sensors/#", qos=1)
        told.get(timeout=10)
        client.publish("sensors/ü", b"\0 21.5", qos=1)
        assert told.get(timeout=10) == b"\0 21.5"


def test_a_message_that_is_seeded_and_kept_by_mqtt(up: Running) -> None:
    with mosquitto(up["MQTT_NARROW"]) as (client, told):
        assert not told.get(timeout=10).is_failure
        client.publish("seeded/1", b"not allowed", qos=1, retain=True)
        client.subscribe("seeded/#", qos=1)
        told.get(timeout=10)
        assert told.get(timeout=10) == "21 ü".encode()


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"username": "sensor"}, {"username": ""}])
def test_mqtt_refuses_wrong_credentials(up: Running, changed: dict[str, str]) -> None:
    with mosquitto(up["MQTT"], **changed) as (_, told):
        assert told.get(timeout=10) == "Not authorized"


def test_names_that_mqtt_does_not_take_are_refused(home: Project) -> None:
    refused(home, "mosquitto", "username", ["a:b", "a\nb", ""], "No colons")


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("rabbit", {"username", "password", "virtual_host", "management_url"}),
        ("nats", {"username", "password", "monitor_url"}),
        ("kafka", {"bootstrap"}),
        ("mqtt", {"username", "password"}),
    ],
)
def test_default_outputs(up: Running, service: str, more: set[str]) -> None:
    found = up.defaults_of(service)
    assert found.keys() == {"host", "port", "url"} | more
    if "password" in more:
        assert (found["username"], found["password"]) == (USERNAME, PASSWORD)


def test_processes_listen_on_loopback_alone(up: Running) -> None:
    listens_here_alone(up, {"rabbit": {"names", "tools"}})


def test_units_of_rabbitmq(up: Running) -> None:
    """A unit has copies of queues, bindings and rights; a reset restores the seeded messages, and a consumer can continue."""
    base, first, second = VHOST, "lane /1", "lane2"
    with rabbit(up["RABBIT"], virtual_host=base) as channel:
        channel.queue_declare("seeded", durable=True, auto_delete=False)
        channel.basic_publish_confirm(amqp.Message("one", content_type="text/x"), routing_key="seeded")

    def counts(host: str) -> list[int]:
        with rabbit(up["RABBIT"], virtual_host=host) as channel:
            return [channel.queue_declare(name, passive=True).message_count for name in ("seeded", "later")]

    with up.units("rabbit") as driver:
        driver.keep(base, "kept")
        for host in (first, second):
            driver.clone("kept", host)
            with rabbit(up["RABBIT"], virtual_host=host) as channel:
                channel.queue_declare("later", durable=True, auto_delete=False)
                for queue_name in ("seeded", "later"):
                    channel.basic_publish_confirm(amqp.Message("two"), routing_key=queue_name)
        driver.reset("kept", first)
        assert (counts(first), counts(second)) == ([1, 0], [2, 1])
        with rabbit(up["RABBIT_WORKER"], virtual_host=first) as channel:
            found = channel.basic_get("seeded", no_ack=True)
        assert (found.body, found.content_type) == ("one", "text/x")
        for host in (first, second, "kept", "none"):
            driver.drop(host)


def test_nats_is_emptied_and_its_streams_stay(up: Running) -> None:
    async def count(publish: bool = False) -> int:
        client = await _nats(up["NATS"])
        stream = client.jetstream()
        if publish:
            await stream.add_stream(name="emptied", subjects=["emptied.>"])
            await stream.publish("emptied.one", b"1")
        messages = (await stream.stream_info("emptied")).state.messages
        await client.close()
        return int(messages)

    assert asyncio.run(count(publish=True)) == 1
    with up.units("nats") as driver:
        driver.reset("", "")
    assert asyncio.run(count()) == 0


def everything(up: Running, topic: str) -> list[tuple[bytes, bytes]]:
    """Return the values and keys of all records that are in the topic now."""
    with closing(KafkaConsumer(bootstrap_servers=up["KAFKA"], auto_offset_reset="earliest", consumer_timeout_ms=60_000)) as found:
        partitions = [TopicPartition(topic, number) for number in sorted(found.partitions_for_topic(topic))]
        found.assign(partitions)
        count = sum(found.end_offsets(partitions).values()) - sum(found.beginning_offsets(partitions).values())
        return sorted((message.value, message.key or b"") for message in islice(found, count))


def test_units_of_kafka(up: Running) -> None:
    base, first, second = "order-events.v1", "lane1.events", "lane2.events"
    with closing(KafkaProducer(bootstrap_servers=up["KAFKA"])) as producer, up.units("kafka") as driver:
        producer.send(base, b"seeded", b"key", [("h", b"1")]).get(timeout=15)
        driver.keep(base, "kept")
        for topic in (first, second):
            driver.clone("kept", topic)
            producer.send(topic, b"more").get(timeout=15)
        driver.reset("kept", first)

        there = everything(up, base)
        assert (b"seeded", b"key") in there
        assert everything(up, first) == there
        assert everything(up, second) == sorted([*there, (b"more", b"")])
        for topic in (first, second, "kept", "none"):
            driver.drop(topic)


def test_retained_messages_of_mqtt_are_copied_below_a_prefix_and_taken_away(up: Running) -> None:
    def retained(below: str, *publish: str) -> list[str]:
        with mosquitto(up["MQTT"]) as (client, told):
            told.get(timeout=10)
            for topic in publish:
                client.publish(topic, topic, qos=1, retain=True).wait_for_publish(10)
            client.subscribe(f"{below}#")
            told.get(timeout=10)
            client.publish(f"{below}over", b"over")
            return sorted(message.decode() for message in iter(lambda: told.get(timeout=10), b"over"))

    with up.units("mqtt") as driver:
        driver.keep("", "envctl/seeded/")
        driver.clone("envctl/seeded/", "envctl/lane1/")
        there = retained("seeded/")
        assert retained("envctl/lane1/seeded/") == there
        assert retained("envctl/lane1/", "envctl/lane1/mine") == sorted([*there, "envctl/lane1/mine"])
        assert retained("kept/", "kept/one") == ["kept/one"]
        driver.reset("envctl/seeded/", "")
        assert (retained("kept/"), retained("seeded/")) == ([], there)
        assert "envctl/lane1/mine" in retained("envctl/lane1/"), "what is a unit's is not what was seeded"
        driver.reset("envctl/seeded/", "envctl/lane1/")
        assert retained("envctl/lane1/") == there
        driver.drop("envctl/lane1/")
        assert retained("envctl/lane1/") == []
