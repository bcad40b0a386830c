"""Valkey, Redis, Memcached and S3 through their clients."""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator
from typing import Any

import boto3
import pymemcache
import pytest
import redis
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from envctl.units import Sized, TemplateGone
from tests.kinds.listening import listens_here_alone
from tests.kinds.support import PASSWORD, USERNAME, Running, Url, bring_up, refused, text
from tests.support import Project

USER = USERNAME.replace(" ", "")
"""A user name without spaces, because a space ends a name in the access lists of Valkey and Redis."""
KEY = "o'b\"r$i#e%n\\${x}"
"""An access key; it is sent in an HTTP header, so it must be ASCII."""

SERVICES = f"""
services:
  valkey:
    kind: valkey
    with:
      username: {text(USER)}
      password: {text(PASSWORD)}
      settings: {{maxmemory: 32mb, maxmemory-policy: allkeys-lru, lazyfree-lazy-expire: true}}
      users: {{viewer: {{rules: "~seeded:* +@read"}}}}
    ready: {{query: DBSIZE}}
    seed:
      - keys: seeds/keys.json.gz
      - keys: {{"seeded:text": "${{self.username}}", "seeded:set": {{set: [a, b], ttl: 1h}}}}
        database: 3
  redis: {{kind: redis, with: {{username: {text(USER)}, password: {text(PASSWORD)}, durable: true}}}}
  memcached: {{kind: memcached, with: {{memory: 16, max_item: 2m}}}}
  s3:
    kind: s3
    with: {{username: {text(KEY)}, password: {text(PASSWORD)}, DECLARED}}
    seed:
      - objects: seeds/files
        into: invoices
        prefix: seeded/
        content_types: {{"*.dat": image/x-own}}
  files: {{kind: seaweedfs}}
"""
WEED = {"s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc"}
OUTPUTS = {
    "VALKEY": "${valkey.url}",
    "REDIS": "${redis.url}",
    "MEMCACHED": "${memcached.url}",
    "S3": "${s3.url}",
    "S3_KEY": "${s3.access_key}",
    "S3_SECRET": "${s3.secret_key}",
    "S3_REGION": "${s3.region}",
    "INVOICES": "${s3.buckets.invoices.bucket}",
    "VIEWER": "${valkey.users.viewer.url}",
    "S3_VIEWER": "${s3.users.viewer.secret_key}",
    "PHOTOS": '${s3.buckets["foto-s.2024"].url}',
}


ANYBODY = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::foto-s.2024/*"]}
BUCKETS = {"invoices": {"versioning": True}, "foto-s.2024": {"policy": {"Version": "2012-10-17", "Statement": [ANYBODY]}}}
USERS = {"viewer": {"rights": "read", "buckets": ["invoices"], "password": PASSWORD.replace("${", "$${")}}
KEYS = {"seeded:hash": {"a": 1, "b": "x"}, "seeded:list": ["a", 2], "seeded:scores": {"sorted_set": {"a": 1.5}}}


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    home.write("environments/seeds/keys.json.gz", "").write_bytes(gzip.compress(json.dumps(KEYS).encode()))
    home.write("environments/seeds/files/a.txt", "text")
    home.write("environments/seeds/files/in/b ü.dat", "").write_bytes(b"\0\xff")
    declared = f"buckets: {json.dumps(BUCKETS)}, users: {json.dumps(USERS)}"
    return bring_up(home, "stores", SERVICES.replace("DECLARED", declared), OUTPUTS)


@pytest.fixture(params=["valkey", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def keys(up: Running, kind: str) -> Iterator[Any]:
    with redis.Redis.from_url(up[kind.upper()]) as client:
        yield client


def test_keys_with_given_credentials(keys: Any) -> None:
    assert keys.acl_whoami() == USER
    keys.set("näme", b"\0\xff")
    assert keys.get("näme") == b"\0\xff"


def test_a_server_takes_the_password_without_a_name(up: Running, kind: str) -> None:
    at = Url.of(up[kind.upper()])
    with redis.Redis(at.host, at.port, password=at.password) as client:
        assert client.acl_whoami() == "default"


@pytest.mark.parametrize(
    "credentials", [{}, {"password": "wrong"}, {"username": USER, "password": "wrong"}, {"username": "other", "password": PASSWORD}]
)
def test_wrong_credentials_are_refused(up: Running, kind: str, credentials: dict[str, Any]) -> None:
    at = Url.of(up[kind.upper()])
    with redis.Redis(at.host, at.port, retry=Retry(NoBackoff(), 0), **credentials) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_settings_of_valkey(up: Running) -> None:
    with redis.Redis.from_url(up["VALKEY"], decode_responses=True) as client:
        found = client.config_get("maxmemory", "maxmemory-policy", "lazyfree-lazy-expire", "appendonly")
    assert found == {"maxmemory": str(32 << 20), "maxmemory-policy": "allkeys-lru", "lazyfree-lazy-expire": "yes", "appendonly": "no"}


def test_keys_that_are_seeded(up: Running) -> None:
    with redis.Redis.from_url(up["VALKEY"]) as client:
        assert client.hgetall("seeded:hash") == {b"a": b"1", b"b": b"x"}
        assert client.lrange("seeded:list", 0, -1) == [b"a", b"2"]
        assert client.zrange("seeded:scores", 0, -1, withscores=True) == [(b"a", 1.5)]
    at = Url.of(up["VALKEY"])
    with redis.Redis(at.host, at.port, db=3, username=at.username, password=at.password) as client:
        assert client.get("seeded:text") == USER.encode()
        assert client.smembers("seeded:set") == {b"a", b"b"}
        assert 0 < client.ttl("seeded:set") <= 3600


def test_a_user_with_few_rights(up: Running) -> None:
    with redis.Redis.from_url(up["VIEWER"]) as client:
        assert client.llen("seeded:list") == 2
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.get("other")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.delete("seeded:list")


def test_a_durable_server_writes_everything(up: Running) -> None:
    with redis.Redis.from_url(up["REDIS"], decode_responses=True) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_the_shell_of_a_server_logs_in_by_itself(up: Running, kind: str) -> None:
    client = [f"{kind}-cli"] if up.project.engine != "local" else ["valkey-cli", "-p", str(Url.of(up[kind.upper()]).port)]
    done = up.execute(kind, *client, "-h", "127.0.0.1", "PING").ok()
    assert done.out.strip() == "PONG"


def test_names_with_blanks_are_refused(home: Project, kind: str) -> None:
    refused(home, kind, "username", ["two words", "", "tab\tbed"], "No spaces")


def test_memcached(up: Running) -> None:
    at = Url.of(up["MEMCACHED"])
    client = pymemcache.Client((at.host, at.port))
    big = secrets.token_bytes(1_500_000)
    client.set("big", big, noreply=False)
    assert client.get("big") == big
    assert client.stats()[b"limit_maxbytes"] == 16 << 20
    client.close()


def s3(up: Running, **changed: str) -> Any:
    given = {"aws_access_key_id": up["S3_KEY"], "aws_secret_access_key": up["S3_SECRET"], "region_name": up["S3_REGION"]} | changed
    return boto3.client("s3", endpoint_url=up["S3"], config=Config(s3={"addressing_style": "path"}), **given)


def test_objects_in_declared_buckets(up: Running) -> None:
    client = s3(up)
    assert up["S3_KEY"] == KEY
    assert {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} == {"invoices", "foto-s.2024"}
    assert up["PHOTOS"] == "s3://foto-s.2024"
    body = secrets.token_bytes(100_000)
    client.put_object(Bucket=up["INVOICES"], Key="2024/Rechnung №1 +&.pdf", Body=body, ContentType="application/pdf")
    found = client.get_object(Bucket=up["INVOICES"], Key="2024/Rechnung №1 +&.pdf")
    assert found["ContentType"] == "application/pdf"
    assert found["Body"].read() == body
    client.put_object(Bucket="foto-s.2024", Key="a", Body=b"a")
    assert [item["Key"] for item in client.list_objects_v2(Bucket="foto-s.2024")["Contents"]] == ["a"]


def test_objects_that_are_seeded(up: Running) -> None:
    client = s3(up)
    names = [entry["Key"] for entry in client.list_objects_v2(Bucket="invoices", Prefix="seeded/")["Contents"]]
    found = {name: client.get_object(Bucket="invoices", Key=name) for name in names}
    assert {name: (answer["Body"].read(), answer["ContentType"]) for name, answer in found.items()} == {
        "seeded/a.txt": (b"text", "text/plain"),
        "seeded/in/b ü.dat": (b"\0\xff", "image/x-own"),
    }


def test_versions_and_policies_of_buckets(up: Running) -> None:
    client = s3(up)
    for body in (b"1", b"2"):
        client.put_object(Bucket="invoices", Key="twice", Body=body)
    assert len(client.list_object_versions(Bucket="invoices", Prefix="twice")["Versions"]) == 2
    client.put_object(Bucket="foto-s.2024", Key="open", Body=b"for all")
    with requests.Session() as session:
        assert session.get(f"{up['S3']}/foto-s.2024/open", timeout=10).content == b"for all"
        assert session.get(f"{up['S3']}/invoices/seeded/a.txt", timeout=10).status_code == 403


def test_a_user_of_buckets_with_few_rights(up: Running) -> None:
    client = s3(up, aws_access_key_id="viewer", aws_secret_access_key=up["S3_VIEWER"])
    assert up["S3_VIEWER"] == PASSWORD
    assert client.get_object(Bucket="invoices", Key="seeded/a.txt")["Body"].read() == b"text"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket="invoices", Key="mine", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_objects_v2(Bucket="foto-s.2024")


def test_a_signed_link_works(up: Running) -> None:
    link = s3(up).generate_presigned_url("put_object", Params={"Bucket": "invoices", "Key": "by link"})
    with requests.Session() as session:
        assert session.put(link, data=b"x", timeout=10).status_code == 200
        assert session.get(link.partition("?")[0], timeout=10).status_code == 403, "nothing is public"


@pytest.mark.parametrize("changed", [{"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "wrong"}])
def test_a_wrong_key_is_refused(up: Running, changed: dict[str, str]) -> None:
    with pytest.raises(ClientError) as failed:
        s3(up, **changed).list_objects_v2(Bucket="invoices")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_access_keys_that_no_header_takes_are_refused(home: Project) -> None:
    refused(home, "s3", "username", ["a b", "a/b", "a,b", "a=b", "ä", ""], "ASCII, no spaces, commas, slashes")


def test_random_credentials_and_no_bucket(up: Running) -> None:
    found = up.defaults_of("files")
    given = {"aws_access_key_id": found["username"], "aws_secret_access_key": found["password"], "region_name": "eu-central-1"}
    client = boto3.client("s3", endpoint_url=found["url"], **given)
    assert client.list_buckets()["Buckets"] == []


def test_default_outputs(up: Running) -> None:
    for service in ("valkey", "redis"):
        found = up.defaults_of(service)
        assert found.keys() == {"host", "port", "url", "username", "password", "database"}
        assert (found["username"], found["password"]) == (USER, PASSWORD)
    assert up.defaults_of("memcached").keys() == {"host", "port", "url"}
    found = up.defaults_of("s3")
    assert {"host", "port", "url", "endpoint", "username", "password", "access_key", "secret_key"} <= found.keys()
    assert (found["access_key"], found["secret_key"]) == (KEY, PASSWORD)


def test_processes_listen_on_loopback_alone(up: Running) -> None:
    listens_here_alone(up, dict.fromkeys(("s3", "files"), WEED))


def test_units_of_valkey_and_redis(up: Running, kind: str, keys: Any) -> None:
    at = Url.of(up[kind.upper()])
    lanes = [redis.Redis(host=at.host, port=at.port, username=at.username, password=at.password, db=number) for number in (1, 2)]
    keys.hset("seeded", mapping={"a": 1})
    with up.units(kind) as driver:
        driver.keep("0", "255")
        for number in ("1", "2"):
            driver.clone("255", number)
        for lane in lanes:
            lane.set("own", "x")
            lane.delete("seeded")
        assert isinstance(driver, Sized)
        assert driver.size("255").memory > driver.size("9").memory == 0
        driver.reset("255", "1")
        assert (sorted(lanes[0].keys()), lanes[0].hgetall("seeded")) == (sorted(keys.keys()), {b"a": b"1"})
        assert (lanes[1].exists("own"), lanes[1].exists("seeded")) == (1, 0)
        lanes[0].flushall()
        with pytest.raises(TemplateGone):
            driver.reset("255", "2")
        driver.drop("2")
    for lane in lanes:
        lane.close()


def test_memcached_is_emptied(up: Running) -> None:
    at = Url.of(up["MEMCACHED"])
    client = pymemcache.Client((at.host, at.port))
    client.set("one", b"1", noreply=False)
    with up.units("memcached") as driver:
        driver.reset("", "")
    assert client.get("one") is None
    client.close()


def test_units_of_s3(up: Running) -> None:
    client = s3(up)

    def objects(bucket: str) -> dict[str, bytes]:
        found = client.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found}

    client.create_bucket(Bucket="seeds")
    for key, body in (("a", b"1"), ("ü/№ +&", b"2")):
        client.put_object(Bucket="seeds", Key=key, Body=body)
    with up.units("s3") as driver:
        driver.keep("seeds", "kept")
        for unit in ("lane1", "lane2"):
            driver.clone("kept", unit)
            client.put_object(Bucket=unit, Key="a", Body=b"other")
            client.put_object(Bucket=unit, Key="more", Body=b"more")
            client.delete_object(Bucket=unit, Key="ü/№ +&")
        assert isinstance(driver, Sized)
        assert (driver.size("kept").disk, driver.size("none").disk) == (2, 0)
        driver.reset("kept", "lane1")
        assert objects("lane1") == objects("seeds") == {"a": b"1", "ü/№ +&": b"2"}
        assert objects("lane2") == {"a": b"other", "more": b"more"}
        with pytest.raises(TemplateGone):
            driver.reset("none", "lane1")
        for unit in ("lane1", "lane2", "kept", "seeds", "none"):
            driver.drop(unit)
