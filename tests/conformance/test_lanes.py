"""Tests of two lanes: each has its own units and addresses, neither reaches the other, and one is reset while the other is in use."""

from __future__ import annotations

import asyncio
import json
import shutil
import smtplib
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import nats
import pg8000.native
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.conformance.test_services import SHOW, api, get
from tests.support import ENGINES, REQUIRED, Project, missing

ENVIRONMENT = f"""
services:
  db: {{kind: postgres, with: {{databases: [shop]}}, seed: [{{sql: seed.sql}}]}}
  bus:
    kind: nats
    with: {{streams: {{orders: {{}}}}, accounts: {{audit: {{}}}}}}
    seed: [{{messages: [{{subject: orders, body: seeded, headers: {{who: me}}, jetstream: true}}]}}]
  mail: {{kind: mail}}
  payments: {{kind: stub}}
{api("orders")}
      DATABASE_URL: ${{db.url}}
      NATS_URL: ${{bus.url}}
      SMTP_URL: ${{mail.url}}
      PAYMENTS_URL: ${{payments.url}}
      LANE: ${{lane.number}}
outputs:
  ORDERS_URL: ${{orders.url}}
  DATABASE_URL: ${{db.url}}
  NATS_URL: ${{bus.url}}
  SMTP_URL: ${{mail.url}}
  MAIL_API: ${{mail.api_url}}
  AUDIT_URL: ${{bus.accounts.audit.url}}
"""
BROKER = """
  broker:
    kind: mqtt
    scope: environment
    with: {users: {narrow: {subscribe: ["state/#"]}}}
    seed: [{messages: [{topic: state/1, body: seeded, retain: true}]}]
"""
BROKER_OUTPUTS = "  MQTT_URL: ${broker.users.narrow.url}\n  MQTT_WRITER: ${broker.url}\n  TOPICS: ${broker.topic_prefix}\n"
SEED = "create table orders (id serial primary key, what text); insert into orders (what) values ('seeded');"


@contextmanager
def mqtt(url: str) -> Iterator[Any]:
    at, client = urlsplit(url), Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(unquote(at.username or ""), unquote(at.password or ""))
    client.connect(str(at.hostname), at.port or 0)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


class Lanes:
    """An environment with two lanes, and the requests that a worker sends in one of them."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self.outputs: list[dict[str, str]] = project.envctl("up", name, "--lanes", "2", "--json").ok().json["lanes"]

    def rows(self, lane: int, sql: str = "select what from orders order by id") -> list[Any]:
        at = urlsplit(self.outputs[lane - 1]["DATABASE_URL"])
        with pg8000.native.Connection(
            unquote(at.username or ""), password=unquote(at.password or ""), host=at.hostname, port=at.port, database=at.path[1:]
        ) as connection:
            return [row[0] for row in connection.run(sql) or ()]

    def send(self, lane: int) -> None:
        at = urlsplit(self.outputs[lane - 1]["SMTP_URL"])
        with smtplib.SMTP(str(at.hostname), at.port or 0, timeout=10) as client:
            client.login(unquote(at.username or ""), unquote(at.password or ""))
            client.sendmail("a@x.example", "b@x.example", f"Subject: lane {lane}\r\n\r\nhello")

    def mails(self, lane: int) -> list[str]:
        at = urlsplit(self.outputs[lane - 1]["MAIL_API"])
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        place = f"http://{at.hostname}:{at.port}/"
        passwords.add_password(None, place, unquote(at.username or ""), unquote(at.password or ""), is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(passwords))
        with opener.open(f"{place}api/v1/messages", timeout=10) as answer:
            return [message["Subject"] for message in json.load(answer)["messages"]]

    def events(self, lane: int, publish: bool = False) -> int:
        async def count() -> int:
            client = await nats.connect(self.outputs[lane - 1]["NATS_URL"])
            stream = client.jetstream()
            if publish:
                await stream.publish("orders", b"made")
                await (await stream.create_key_value(bucket="own")).put("lane", b"its own")
            messages = (await stream.stream_info("orders")).state.messages
            await client.close()
            return int(messages)

        return asyncio.run(count())

    def retained(self, lane: int, publish: str = "") -> dict[str, str]:
        """Return the retained MQTT messages that a user with rights to `state/#` only receives; *publish* is first retained there."""
        own = self.outputs[lane - 1]
        if publish:
            with mqtt(own["MQTT_WRITER"]) as writer:
                writer.publish(f"{own['TOPICS']}state/2", publish, qos=1, retain=True).wait_for_publish(10)
        found: dict[str, str] = {}
        over = threading.Event()
        with mqtt(own["MQTT_URL"]) as client:

            def take(_client: object, _data: object, message: Any) -> None:
                found[message.topic.removeprefix(own["TOPICS"])] = message.payload.decode()

            client.on_message = take
            client.on_subscribe = lambda *_: over.set()
            client.subscribe(f"{own['TOPICS']}#")
            # The broker sends retained messages before it answers a second request.
            assert over.wait(10)
            over.clear()
            client.subscribe("nothing")
            assert over.wait(10)
        return found


@pytest.fixture(scope="module", params=ENGINES)
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path_factory.mktemp("lanes") / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, engine)
    services, _, outputs = ENVIRONMENT.partition("outputs:")
    broker, told = (BROKER, BROKER_OUTPUTS) if engine != "local" or shutil.which("mosquitto") else ("", "")
    project.environment("laned", f"{services}{broker}outputs:{outputs}{told}")
    project.write("environments/show.py", SHOW)
    project.write("environments/seed.sql", SEED)
    try:
        yield Lanes(project, "laned")
    finally:
        project.down()


def test_the_services_of_a_lane_are_told_of_its_own(up: Lanes) -> None:
    told = [get(outputs["ORDERS_URL"])["env"] for outputs in up.outputs]
    assert [each["LANE"] for each in told] == ["1", "2"]
    assert [urlsplit(each["DATABASE_URL"]).path for each in told] == ["/shop_lane1", "/shop_lane2"]
    for name in ("NATS_URL", "SMTP_URL", "PAYMENTS_URL"):
        assert told[0][name] != told[1][name]


def test_nothing_of_one_lane_reaches_the_other_and_one_is_reset_alone(up: Lanes) -> None:
    for lane in (1, 2):
        assert up.rows(lane) == ["seeded"]
        up.rows(lane, f"insert into orders (what) values ('of {lane}')")
        up.send(lane)
        assert up.events(lane, publish=True) == 2
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded", "of 1"], ["seeded", "of 2"]]
    assert [up.mails(lane) for lane in (1, 2)] == [["lane 1"], ["lane 2"]]
    up.project.envctl("reset", up.name, "--lane", "2").ok()
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded", "of 1"], ["seeded"]]
    assert [up.mails(lane) for lane in (1, 2)] == [["lane 1"], []]
    assert [up.events(lane) for lane in (1, 2)] == [2, 1]
    up.project.envctl("reset", up.name, "db").ok()
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded"], ["seeded"]]
    assert up.mails(1) == ["lane 1"], "a service that nobody named"
    assert [get(outputs["ORDERS_URL"])["env"]["LANE"] for outputs in up.outputs] == ["1", "2"], "nothing was restarted"


def test_lanes_share_a_broker_of_mqtt_under_prefixes_of_their_own(up: Lanes) -> None:
    if "TOPICS" not in up.outputs[0]:
        pytest.skip("no mosquitto here")
    assert [each["TOPICS"] for each in up.outputs] == ["envctl/lane1/", "envctl/lane2/"]
    for lane in (1, 2):
        assert up.retained(lane, publish=f"of {lane}") == {"state/1": "seeded", "state/2": f"of {lane}"}
    up.project.envctl("reset", up.name, "broker", "--lane", "2").ok()
    assert [up.retained(lane) for lane in (1, 2)] == [{"state/1": "seeded", "state/2": "of 1"}, {"state/1": "seeded"}]


def test_lanes_share_a_server_of_nats_in_accounts_of_their_own(up: Lanes) -> None:
    async def heard() -> list[int]:
        first, second = [await nats.connect(outputs["AUDIT_URL"]) for outputs in up.outputs]
        sub, own = await second.subscribe(">"), await first.subscribe(">")
        await second.flush()
        await first.publish("x", b"of 1")
        await first.flush()
        assert (await own.next_msg(10)).data == b"of 1"
        await second.flush()
        found = [sub.pending_msgs, (await second.jetstream().account_info()).streams]
        await first.close()
        await second.close()
        return found

    assert len({urlsplit(outputs["NATS_URL"]).port for outputs in up.outputs}) == 1
    assert asyncio.run(heard()) == [0, 0]


def test_a_worker_gets_its_lane(up: Lanes) -> None:
    def url(*words: str, **environ: str) -> str:
        found: dict[str, str] = up.project.envctl("env", up.name, "--format", "json", *words, env=environ).ok().json
        return found["DATABASE_URL"]

    first, second = (outputs["DATABASE_URL"] for outputs in up.outputs)
    assert (url(), url("--lane", "2"), url(PYTEST_XDIST_WORKER="gw1"), url(ENVCTL_LANE="f2")) == (first, second, second, second)
    refused = up.project.envctl("env", up.name, env={"JEST_WORKER_ID": "3"})
    assert refused.status == 2
    assert "has 2 lanes" in refused.err
    assert "--lanes 3" in refused.err


def test_up_again_keeps_what_lanes_have_written(up: Lanes) -> None:
    up.rows(2, "insert into orders (what) values ('kept')")
    up.project.envctl("up", up.name, "--lanes", "2").ok()
    assert "kept" in up.rows(2)
