"""The kinds that ship with envctl are complete and well-formed, and all their expressions can be evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator

from envctl.definition.budget import Budget
from envctl.definition.expressions import escape, evaluate, evaluate_tree, render_text
from envctl.definition.kinds import Kind, items_of, load_kinds, parameters_of
from envctl.definition.patterns import compiled
from envctl.definition.source import walk
from envctl.instance.allocation import Allocation
from envctl.plan.addressing import Addressing
from envctl.plan.referenced_services import Subject
from envctl.plan.traits import Addresses
from envctl.plan.views import Resolver
from tests.builders import plan_with

KINDS = sorted(load_kinds().files)
OURS = [name for name in KINDS if name not in ("service", "api", "job", "stub", "web")]
NASTY = "p$a'\"\\ %#ü{{x}}${y}$(id)\n`;&=@:/?\tx"
NAMES = {"mail": "u'\"ü$", "postgres": "u ü;%", "mqtt": "u \"'$ü\\"}
CREDENTIALS = [("me", "secret"), ("", NASTY)]
OUTSIDE_PORT = 40000


@cache
def kind_of(name: str) -> Kind:
    return load_kinds()[name]


def scope_of(name: str, username: str = "me", password: str = "secret", **given: Any) -> Mapping[str, Any]:
    """Return the names and values that the expressions of a kind can use, for a service called `my-x`."""
    kind = kind_of(name)
    drawn = {"username": username or NAMES.get(name, "u\"'$ü\\"), "password": password}
    parameters = {**parameters_of(kind, given), **{key: escape(drawn[what]) for key, what in kind.credentials.items()}}
    several = {key: items_of(kind, key, parameters.pop(key, None), "my-x", Budget()) for key in kind.several}
    ports = {port: number for port, number in kind.ports.items() if parameters.get(kind.ports_when.get(port, ""), True)}

    subject = Subject("my-x", kind, ports or {"http": 8000}, parameters, several)
    numbers = {("my-x", port): OUTSIDE_PORT + index for index, port in enumerate(subject.ports)}
    setting = replace(plan_with().setting, allocation=Allocation(numbers), addresses=Addresses(tester_host="host"))
    instance = {"instance": {"id": "x-123456", "name": "x"}}
    return Resolver({"my-x": subject}, Addressing(setting), instance).reader_in("my-x")


def files_of(name: str, **given: Any) -> dict[str, str]:
    scope = scope_of(name, **given)
    return {path: render_text(text, scope) for path, text in kind_of(name).files.items()}


def some_of(kind: Kind) -> dict[str, Any]:
    """Return two items for each list that the kind accepts."""
    return {key: ["first", "se-cond"] for key in kind.several}


def test_names_are_given_once() -> None:
    names = [other for name in KINDS for other in [name, *kind_of(name).also]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_what_it_is(name: str) -> None:
    kind = kind_of(name)
    assert kind.kind == name
    assert kind.title
    assert kind.description.endswith(".")
    assert name not in OURS or (kind.image and kind.version and kind.ports and kind.ready and kind.recognise.images)


@pytest.mark.parametrize("name", KINDS)
def test_parameters_are_described_and_their_defaults_fit(name: str) -> None:
    kind = kind_of(name)
    for properties in [kind.parameters, *(several.options for several in kind.several.values())]:
        Draft202012Validator.check_schema({"type": "object", "properties": properties})
        for parameter, schema in properties.items():
            assert schema.get("description"), parameter
            if "default" in schema:
                Draft202012Validator(schema).validate(schema["default"])


@pytest.mark.parametrize("name", KINDS)
def test_names_of_parameters_ports_and_items_exist(name: str) -> None:
    kind = kind_of(name)
    assert kind.credentials.keys() <= kind.parameters.keys()
    assert kind.ports_when.keys() <= kind.ports.keys()
    assert set(kind.ports_when.values()) <= kind.parameters.keys()
    assert isinstance(kind.kept, bool) or kind.kept in kind.parameters
    assert not kind.outside_port or kind.outside_port in kind.ports
    assert kind.declare.keys() <= kind.several.keys()
    assert {setup.each for setup in kind.setup} | {setup.when for setup in kind.setup} <= {"", *kind.several}
    recognised = kind.recognise.parameters.keys()
    assert recognised <= kind.parameters.keys() | kind.several.keys()


@pytest.mark.parametrize("name", [name for name in KINDS if kind_of(name).ready])
def test_the_probe_exists(name: str) -> None:
    assert callable(import_module(f"envctl.readiness.{kind_of(name).ready['probe']}").probe)


@pytest.mark.parametrize("name", [name for name in KINDS if kind_of(name).seeds or kind_of(name).declare])
def test_what_fills_it_exists(name: str) -> None:
    kind = kind_of(name)
    for format, feed in kind.seeds.items():
        assert callable(import_module(f"envctl.seeding.{format}").load)
        assert format != "messages" or callable(import_module(f"envctl.seeding.messages.{feed.dialect}").send)
    for module in kind.declare.values():
        assert callable(import_module(f"envctl.seeding.declaring.{module}").declare)


@pytest.mark.parametrize("name", OURS)
def test_there_is_a_health_check_or_a_reason(name: str) -> None:
    kind = kind_of(name)
    assert bool(kind.healthcheck) != bool(kind.healthcheck_loss)
    assert not kind.healthcheck or kind.healthcheck[0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("username", "password"), CREDENTIALS)
def test_every_expression_evaluates(name: str, username: str, password: str) -> None:
    kind = kind_of(name)
    scope = scope_of(name, username, password, **some_of(kind))
    step = {"database": "shop", "into": "public.t", "columns": ["id", "a b"], "binary": ["id"], "owners": False}
    item = {"name": "x", "password": "y"}
    own = scope["self"]
    texts = [kind.env, kind.entrypoint, kind.command, kind.mounts, kind.healthcheck, kind.shell, kind.shell_env]
    evaluate_tree(texts, scope)
    evaluate_tree([feed.model_dump() for feed in kind.seeds.values()], {**scope, "step": step})
    evaluate_tree([setup.model_dump() for setup in kind.setup], {**scope, "item": item})
    evaluate_tree(kind.query, {**scope, "query": "select 1"})
    files_of(name, username=username, password=password, **some_of(kind))
    for prop in [*kind.properties, *kind.several, "inside", "outside"]:
        assert own[prop] is not None


@pytest.mark.parametrize("name", [name for name in OURS if kind_of(name).shell])
def test_a_client_gets_texts_in_its_environment(name: str) -> None:
    kind = kind_of(name)
    scope = {**scope_of(name), "step": {"database": "shop"}}
    for env in [kind.shell_env, *(feed.env for feed in kind.seeds.values())]:
        assert all(isinstance(value, str) for value in evaluate_tree(env, scope).values())


@pytest.mark.parametrize("name", OURS)
def test_no_password_stands_in_an_argument(name: str) -> None:
    """All users of a machine can read arguments, and Kubernetes does not treat them as secret."""
    kind = kind_of(name)
    scope = scope_of(name, "me", "topsecret", **some_of(kind))
    readable = [kind.command, kind.healthcheck, kind.shell, kind.query, [setup.command for setup in kind.setup]]
    commands = [*readable, *[feed.command for feed in kind.seeds.values()]]
    step = {"database": "shop", "into": "t", "columns": ["id"], "binary": [], "owners": True}
    shown = json.dumps(evaluate_tree(commands, {**scope, "step": step, "item": {"name": "x"}, "query": ""}))
    assert "topsecret" not in shown


def urls_of(tree: Any) -> list[str]:
    if isinstance(tree, Mapping):
        return [url for value in tree.values() for url in urls_of(value)]
    return [tree] if isinstance(tree, str) and "://" in tree else []


@pytest.mark.parametrize("name", [name for name in OURS if kind_of(name).credentials and name != "s3"])
@pytest.mark.parametrize("side", ["inside", "outside"])
def test_urls_hold_the_credentials_byte_for_byte(name: str, side: str) -> None:
    scope = scope_of(name, "", NASTY)
    parts = urlsplit(scope["self"][side]["url"])
    assert unquote(parts.username or "") == scope["self"]["username"]
    assert unquote(parts.password or "") == NASTY
    expected = ("my-x", next(iter(kind_of(name).ports.values()))) if side == "inside" else ("127.0.0.1", OUTSIDE_PORT)
    assert (parts.hostname, parts.port) == expected


@pytest.mark.parametrize("name", [name for name in KINDS if "users" in kind_of(name).several])
def test_further_users_have_passwords_of_their_own(name: str) -> None:
    own = scope_of(name, users={"app": {}, "admin": {"password": escape(NASTY)}})["self"]
    assert own["users"]["admin"]["password"] == NASTY
    assert len({own["password"], NASTY, own["users"]["app"]["password"]}) == 3
    if "url" in own["users"]["admin"]:
        assert unquote(urlsplit(own["users"]["admin"]["url"]).password or "") == NASTY


# Details of single kinds


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_a_database_is_the_first_one_unless_named(name: str) -> None:
    own = scope_of(name, databases=["shop", "audit"])["self"]
    assert own["database"] == "shop"
    assert own["url"].endswith("/shop")
    assert own["databases"]["audit"]["url"].endswith("/audit")
    assert "secret" not in own["jdbc_url"]
    assert scope_of(name)["self"]["database"] == "app"


def test_postgres_has_no_script_where_there_is_nothing_to_do() -> None:
    assert not "".join(files_of("postgres").values()).strip()


def test_postgres_settings_are_arguments_and_durable_takes_the_fast_ones_away() -> None:
    fast = evaluate_tree(kind_of("postgres").command, scope_of("postgres", settings={"jit": False}))
    assert fast[1][:2] == ["-c", "fsync=off"]
    assert fast[2] == ["-c", "jit=false"]
    assert evaluate_tree(kind_of("postgres").command, scope_of("postgres", durable=True))[1:] == [[], []]


def test_postgres_sets_a_password_of_several_lines_by_sql() -> None:
    script = files_of("postgres", password="one\n'two'")["/docker-entrypoint-initdb.d/00-envctl.sql"]
    assert """ALTER ROLE "me" PASSWORD 'one\n''two''';""" in script


def test_rabbitmq_definitions_are_json() -> None:
    given = {
        "virtual_hosts": ["shop", "/"],
        "users": ["app"],
        "exchanges": {"e": {"type": "topic"}},
        "queues": {"q": {"arguments": {"x-max-length": 5}}, "r": {"virtual_host": "/"}},
        "bindings": [{"exchange": "e", "queue": "q", "routing_key": "a.#"}],
    }
    found = json.loads(files_of("rabbitmq", password=NASTY, **given)["/etc/rabbitmq/envctl.json"])
    assert [user["name"] for user in found["users"]] == ["me", "app"]
    assert {(p["user"], p["vhost"]) for p in found["permissions"]} == {(user, host) for user in ("me", "app") for host in ("shop", "/")}
    assert [(queue["name"], queue["vhost"]) for queue in found["queues"]] == [("q", "shop"), ("r", "/")]
    assert found["queues"][0]["arguments"] == {"x-max-length": 5}
    assert found["bindings"][0]["source"] == "e"
    assert found["exchanges"][0] == {**found["exchanges"][0], "type": "topic", "durable": True, "arguments": {}}


def test_rabbitmq_has_its_page_where_it_is_wanted() -> None:
    kind = kind_of("rabbitmq")
    assert evaluate_tree(kind.tag, {**scope_of("rabbitmq", management=True), "version": "4.0"}) == "4.0-management"
    assert evaluate_tree(kind.tag, {**scope_of("rabbitmq"), "version": "4.0"}) == "4.0"
    assert scope_of("rabbitmq")["self"]["management_url"] == ""
    assert scope_of("rabbitmq", management=True)["self"]["management_url"] == "http://me:secret@my-x:15672"


def test_kafka_advertises_each_side_its_own_listener() -> None:
    properties = files_of("kafka")["/mnt/shared/config/server.properties"]
    assert f"advertised.listeners=INSIDE://my-x:9092,OUTSIDE://127.0.0.1:{OUTSIDE_PORT + 1}\n" in properties
    own = scope_of("kafka", topics=["orders.created"])["self"]
    assert (own["bootstrap"], own["outside"]["bootstrap"]) == ("my-x:9092", f"127.0.0.1:{OUTSIDE_PORT + 1}")
    assert own["topics"]["orders.created"]["name"] == "orders.created"


def test_valkey_names_passwords_by_their_hash_alone() -> None:
    config = files_of("valkey", password="topsecret")["/etc/valkey/envctl.conf"]
    assert "topsecret" not in config
    assert config.count("\nuser ") == 2
    assert files_of("valkey", username="default")["/etc/valkey/envctl.conf"].count("\nuser ") == 1


def test_redis_is_valkey_with_programs_of_its_own() -> None:
    redis, valkey = kind_of("redis"), kind_of("valkey")
    assert redis.files == valkey.files
    programs = json.dumps([redis.command, redis.healthcheck, redis.shell])
    assert "valkey-" not in programs


def test_mosquitto_has_a_line_for_each_user() -> None:
    passwords = files_of("mqtt", users=["app"])["/mosquitto/config/passwords"]
    assert [line.partition(":")[0] for line in passwords.splitlines()] == ["me", "app"]


def test_web_serves_the_root_unless_it_has_a_configuration() -> None:
    assert "listen 80;" in files_of("web")["/etc/nginx/envctl.conf"]
    assert "include /etc/nginx/envctl.d/*;" in files_of("web", config="web.conf")["/etc/nginx/envctl.conf"]


def test_web_proxies_paths_as_directives_of_their_own() -> None:
    text = files_of("web", proxy={"/api/": "http://orders:8000", "/v1/": "http://orders:8000/v1/"})["/etc/nginx/envctl.conf"]
    assert 'location /api/ {\n      proxy_pass "http://orders:8000/";' in text
    assert 'location /v1/ {\n      proxy_pass "http://orders:8000/v1/";' in text


def test_s3_takes_its_keys_from_variables() -> None:
    """The server expands `$NAME` in its file, which would change a secret that contains a dollar sign."""
    (identity,) = json.loads(files_of("s3", password=NASTY)["/etc/seaweedfs/envctl.json"])["identities"]
    assert identity["credentials"] == [{"accessKey": "${ENVCTL_USERNAME}", "secretKey": "${ENVCTL_PASSWORD}"}]
    env = {key: evaluate(text, scope_of("s3", password=NASTY)) for key, text in kind_of("s3").env.items()}
    assert env == {"ENVCTL_USERNAME": "me", "ENVCTL_PASSWORD": NASTY, "ENVCTL_DOLLAR": "$"}


@pytest.mark.parametrize("name", KINDS)
def test_patterns_of_its_parameters_can_be_searched_for_in_linear_time(name: str) -> None:
    kind = kind_of(name)
    schemas = {"parameters": kind.parameters, **{key: several.options for key, several in kind.several.items()}}
    for path, value in walk(schemas):
        if path[-1] == "pattern":
            compiled(value, lines=False)
