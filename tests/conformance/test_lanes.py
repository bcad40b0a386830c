"""Two lanes: what each has of its own, that nothing of one reaches the other, and that one is reset while the other goes on."""

from __future__ import annotations

import asyncio
import json
import smtplib
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import nats
import pg8000.native
import pytest

from tests.conformance.test_services import SHOW, api, get
from tests.support import ENGINES, REQUIRED, Project, missing

ENVIRONMENT = f"""
services:
  db: {{kind: postgres, with: {{databases: [shop]}}, seed: [{{sql: seed.sql}}]}}
  bus: {{kind: nats}}
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
"""
SEED = "create table orders (id serial primary key, what text); insert into orders (what) values ('seeded');"


class Lanes:
    """An environment with two lanes, and what a worker does in one."""

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
            await stream.add_stream(name="orders", subjects=["orders"])
            if publish:
                await stream.publish("orders", b"made")
            messages = (await stream.stream_info("orders")).state.messages
            await client.close()
            return int(messages)

        return asyncio.run(count())


@pytest.fixture(scope="module", params=ENGINES)
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path_factory.mktemp("lanes") / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, engine)
    project.environment("laned", ENVIRONMENT)
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
        assert up.events(lane, publish=True) == 1
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded", "of 1"], ["seeded", "of 2"]]
    assert [up.mails(lane) for lane in (1, 2)] == [["lane 1"], ["lane 2"]]
    up.project.envctl("reset", up.name, "--lane", "2").ok()
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded", "of 1"], ["seeded"]]
    assert [up.mails(lane) for lane in (1, 2)] == [["lane 1"], []]
    assert [up.events(lane) for lane in (1, 2)] == [1, 0]
    up.project.envctl("reset", up.name, "db").ok()
    assert [up.rows(lane) for lane in (1, 2)] == [["seeded"], ["seeded"]]
    assert up.mails(1) == ["lane 1"], "a service that nobody named"
    assert [get(outputs["ORDERS_URL"])["env"]["LANE"] for outputs in up.outputs] == ["1", "2"], "nothing was restarted"


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
