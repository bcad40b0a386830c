from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.escaping import urlencode
from envctl.definition.expressions import ExpressionError, escape, evaluate
from envctl.definition.kinds import Kind, Several
from envctl.instance.allocation import Allocation
from envctl.plan.addressing import TESTS, Addressing, Side, Viewpoint
from envctl.plan.referenced_services import Subject
from envctl.plan.views import Resolver, View, property_names
from tests.builders import plan_with

SERVER = Kind(
    kind="server",
    ports={"main": 5432, "admin": 8080},
    parameters={"username": {}, "password": {}, "upstream": {}},
    properties={
        "url": "srv://${self.username|urlencode}:${self.password|urlencode}@${self.host}:${self.port}/${self.first.databases}",
        "admin_url": "http://${self.host}:${self.ports.admin}",
        "here": "${self.there}",
        "there": "${self.here}",
    },
    several={"databases": Several(options={"owner": {}}, properties={"url": "${self.url}#${item.name}", "of": "${item.owner}"})},
)
PROGRAM = Kind(kind="service")


def subject(name: str, kind: Kind = SERVER, url: str | None = None, **parameters: Any) -> Subject:
    given: dict[str, Any] = {"username": "me", "password": "p/w", **parameters}
    databases: dict[str, dict[str, Any]] = {"app": {"owner": "o"}, "items": {"owner": "${self.username}"}}
    return Subject(name, kind, kind.ports, given if kind is SERVER else {}, {"databases": databases} if kind is SERVER else {}, url)


def resolver(*subjects: Subject) -> Resolver:
    """Return a resolver; a service's first port is 40000 from outside, the next is 40001, and so on."""
    found = {each.name: each for each in subjects or [subject("db")]}
    ports = {(each.name, port): 40000 + index for each in found.values() for index, port in enumerate(each.ports)}
    setting = replace(plan_with().setting, allocation=Allocation(ports))
    return Resolver(found, Addressing(setting), {"var": {"x": 1}})


def scope_of(found: Resolver, side: Side, own: str | None = None) -> Mapping[str, Any]:
    """Return the names and values that expressions of a service (inside) or of the tests (outside) can use."""
    return found.reader(Viewpoint("inside", "reader") if side == "inside" else TESTS, own)


def read(text: str, side: Side = "inside", own: str | None = None, *subjects: Subject) -> Any:
    return evaluate(text, scope_of(resolver(*subjects), side, own))


@pytest.mark.parametrize(
    ("side", "expression", "expected"),
    [
        ("inside", "${db.host}:${db.port}", "db:5432"),
        ("outside", "${db.host}:${db.port}", "127.0.0.1:40000"),
        ("inside", "${db.url}", "srv://me:p%2Fw@db:5432/app"),
        ("outside", "${db.url}", "srv://me:p%2Fw@127.0.0.1:40000/app"),
        ("inside", "${db.outside.url}", "srv://me:p%2Fw@127.0.0.1:40000/app"),
        ("outside", "${db.inside.url}", "srv://me:p%2Fw@db:5432/app"),
        ("outside", "${db.inside.outside.port}", 40000),
        ("inside", "${db.admin_url}", "http://db:8080"),
        ("outside", "${db.admin_url}", "http://127.0.0.1:40001"),
        ("inside", "${db.ports}", {"main": 5432, "admin": 8080}),
        ("outside", "${db.ports.admin}", 40001),
        ("inside", "${db.password}", "p/w"),
        ("inside", "${db.name}", "db"),
        ("inside", "${db.bind}", "0.0.0.0"),
        ("inside", "${db.first.databases}", "app"),
        ("inside", "${db.databases.app.url}", "srv://me:p%2Fw@db:5432/app#app"),
        ("outside", '${db.databases["items"].url}', "srv://me:p%2Fw@127.0.0.1:40000/app#items"),
        ("inside", "${db.databases.items.of}", "me"),
        ("inside", "${db.upstream}", "5432"),
        ("inside", "${var.x}", 1),
    ],
)
def test_a_reference_is_resolved_for_its_reader(side: Side, expression: str, expected: object) -> None:
    assert read(expression, side, None, subject("db", upstream="${self.port|string}")) == expected


def test_self_is_the_service_that_reads() -> None:
    assert read("${self.url}", "inside", "db") == read("${db.url}")


def test_a_name_with_hyphens_is_one_name() -> None:
    assert read("${orders-db.host}:${orders-db.port}", "inside", None, subject("orders-db"), subject("db")) == "orders-db:5432"


def test_parameters_are_inside_texts_whoever_reads_them() -> None:
    other = subject("other", upstream="${db.url}")
    assert read("${other.upstream}", "outside", None, subject("db"), other) == read("${db.inside.url}")


@pytest.mark.parametrize("name", ["p${x}", "$${", "${", "$$", "p'\"\\"])
def test_a_drawn_parameter_is_a_text_whose_value_it_is(name: str) -> None:
    assert read("${db.password}", "inside", None, subject("db", password=escape(name))) == name


# Ports that must be known before anything is created


@pytest.mark.parametrize("expression", ["${db.outside.url}", "${db.outside.port}", "${db.outside.ports.main}", "${db.outside.admin_url}"])
def test_an_outside_address_that_is_read_inside_reserves_the_ports(expression: str) -> None:
    found = resolver()
    evaluate(expression, scope_of(found, "inside"))
    assert found.reserved == {("db", "main"), ("db", "admin")}


@pytest.mark.parametrize("expression", ["${db.url}", "${db.inside.port}", "${db.outside.name}", "${db.outside.password}"])
def test_nothing_else_that_is_read_inside_reserves_ports(expression: str) -> None:
    found = resolver()
    evaluate(expression, scope_of(found, "inside"))
    assert found.reserved == set()


def test_the_test_process_reserves_nothing() -> None:
    found = resolver()
    evaluate("${db.url} ${db.outside.url}", scope_of(found, "outside"))
    assert found.reserved == set()


def test_ports_are_reserved_even_if_the_test_process_has_asked_before() -> None:
    found = resolver()
    evaluate("${db.url} ${db.outside.url}", scope_of(found, "outside"))
    evaluate("${db.outside.url}", scope_of(found, "inside"))
    assert found.reserved == {("db", "main"), ("db", "admin")}


# Mistakes


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("${db.here}", "'db.here' refers to itself"),
        ("${db}", "'db' is a service; name one of its properties, e.g. ${db.url}"),
        ("at ${db}", "'db' is a service"),
        ("${db.urll}", "'db' has no 'urll'; did you mean 'url'?"),
        ("${db.databases.audit.url}", "'db.databases' has no 'audit'; known: app, items"),
        ("${program.host}", "'program' has no port, so it has no address; give it `port:`"),
        ("${program.outside.port}", "'program' has no port"),
        ("${nobody.url}", "'nobody' is not defined"),
    ],
)
def test_a_reference_that_leads_nowhere(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        str(read(expression, "inside", None, subject("db"), subject("program", PROGRAM)))
    assert words in str(caught.value)


def test_a_loop_can_be_asked_for_again() -> None:
    """The first error must not change later answers."""
    scope = scope_of(resolver(), "inside")
    for _ in range(2):
        with pytest.raises(ExpressionError, match="refers to itself"):
            evaluate("${db.there}", scope)
    assert evaluate("${db.port}", scope) == 5432


# A service as a map of its properties


def test_a_view_lists_the_properties() -> None:
    db = subject("db")
    view = scope_of(resolver(db), "inside")["db"]
    assert list(view) == property_names(db)
    assert len(view) == len(property_names(db))
    assert "admin_url" in view
    assert "nothing" not in view
    assert property_names(db)[:4] == ["host", "port", "ports", "url"]
    assert property_names(db)[-2:] == ["inside", "outside"]


def test_a_service_without_ports_has_no_address_to_list() -> None:
    assert property_names(subject("program", PROGRAM)) == ["name", "bind", "prefix", "first", "inside", "outside"]


def test_views_are_told_apart() -> None:
    scope = scope_of(resolver(subject("a"), subject("b")), "inside")
    views = {scope["a"]: 1, scope["b"]: 2}
    assert views[scope["a"]] == 1
    assert scope["a"] != scope["b"]
    assert isinstance(scope["a"], View)


# Servers that already run (--use)


@pytest.mark.parametrize(
    ("url", "expression", "inside", "outside"),
    [
        ("srv://u:p%2F@db.corp:99/shop", "${db.url}", "srv://u:p%2F@db.corp:99/shop", "srv://u:p%2F@db.corp:99/shop"),
        ("srv://u:p%2F@db.corp:99/shop", "${db.password}", "p/", "p/"),
        ("srv://u:p%2F@db.corp:99/shop", "${db.username} ${db.database}", "u shop", "u shop"),
        ("srv://u@db.corp:99/shop", "${db.password}", "", ""),
        ("srv://db.corp/", "${db.username}:${db.password}", "me:p/w", "me:p/w"),
        ("postgresql://db.corp/a", "${db.port}", 5432, 5432),
        ("srv://db.corp/a", "${db.port}", None, None),
        ("srv://127.0.0.1:99/a", "${db.host}:${db.port}", "host.docker.internal:99", "127.0.0.1:99"),
        ("srv://u:p@localhost:99/a?b=c", "${db.url}", "srv://u:p@host.docker.internal:99/a?b=c", "srv://u:p@localhost:99/a?b=c"),
        ("srv://localhost/a", "${db.url}", "srv://host.docker.internal/a", "srv://localhost/a"),
        ("srv://[::1]:99", "${db.url}", "srv://host.docker.internal:99", "srv://[::1]:99"),
        ("srv://[::1]:99", "${db.host}", "host.docker.internal", "::1"),
        ("srv://u:p@db.corp:99/shop", "${db.databases.app.of}", "o", "o"),
        ("srv://u:p@db.corp:99/shop", "${db.outside.host}", "db.corp", "db.corp"),
    ],
)
def test_a_url_gives_the_properties(url: str, expression: str, inside: object, outside: object) -> None:
    assert read(expression, "inside", None, subject("db", url=url)) == inside
    assert read(expression, "outside", None, subject("db", url=url)) == outside


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(WORDS, WORDS, WORDS)
def test_what_a_url_encodes_comes_back(username: str, password: str, database: str) -> None:
    url = f"srv://{urlencode(username)}:{urlencode(password)}@host:1/{urlencode(database)}"
    scope = scope_of(resolver(subject("db", url=url)), "inside")
    assert [evaluate(f"${{db.{key}}}", scope) for key in ("username", "password", "database")] == [username, password, database]
    assert evaluate("${db.url}", scope) == url


@given(WORDS, WORDS)
def test_credentials_in_a_property_are_percent_encoded(username: str, password: str) -> None:
    db = subject("db", username=escape(username), password=escape(password))
    url = read("${db.url}", "inside", None, db)
    userinfo = url.removeprefix("srv://").removesuffix("@db:5432/app")
    assert userinfo == f"{urlencode(username)}:{urlencode(password)}"
