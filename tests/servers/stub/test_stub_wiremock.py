"""Compare the stub with a table of WireMock 3.13.2's answers, and the table with WireMock itself."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

WIREMOCK = "wiremock/wiremock:3.13.2"


@dataclass(frozen=True)
class Ask:
    """A request, and the status of WireMock's answer."""

    status: int
    method: str
    url: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Case:
    """Mappings, and the requests that test them."""

    name: str
    mappings: tuple[dict[str, Any], ...]
    asks: tuple[Ask, ...]


def get(status: int, url: str, **headers: str) -> Ask:
    return Ask(status, "GET", url, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def mapping(request: dict[str, Any], **response: Any) -> dict[str, Any]:
    return {"request": request, "response": response}


def on_url(request: dict[str, Any], *asks: Ask) -> Case:
    return Case(json.dumps(request), (mapping(request),), asks)


def on_header(matcher: dict[str, Any], *expected: tuple[int, str | None]) -> Case:
    asks = [get(status, "/a", **({} if value is None else {"X_T": value})) for status, value in expected]
    return Case(f"header {json.dumps(matcher)}", (mapping({"url": "/a", "headers": {"X-T": matcher}}),), tuple(asks))


def on_query(matcher: dict[str, Any], *expected: tuple[int, str]) -> Case:
    asks = [get(status, f"/a?{query}" if query else "/a") for status, query in expected]
    request = {"urlPath": "/a", "queryParameters": {"q": matcher}}
    return Case(f"query {json.dumps(matcher)}", (mapping(request),), tuple(asks))


def on_cookie(matcher: dict[str, Any], *expected: tuple[int, str | None]) -> Case:
    asks = [get(status, "/a", **({} if value is None else {"Cookie": value})) for status, value in expected]
    return Case(f"cookie {json.dumps(matcher)}", (mapping({"url": "/a", "cookies": {"s": matcher}}),), tuple(asks))


def on_body(matcher: dict[str, Any], *expected: tuple[int, Any]) -> Case:
    request = {"method": "POST", "url": "/b", "bodyPatterns": [matcher]}
    asks = [Ask(status, "POST", "/b", body.encode() if isinstance(body, str) else body) for status, body in expected]
    return Case(f"body {json.dumps(matcher)}", (mapping(request),), tuple(asks))


def on_json(matcher: dict[str, Any], *expected: tuple[int, Any]) -> Case:
    return on_body(matcher, *((status, json.dumps(value)) for status, value in expected))


def on_path(expression: Any, *expected: tuple[int, Any]) -> Case:
    return on_json({"matchesJsonPath": expression}, *expected)


def answers(method: str = "GET", **response: Any) -> Case:
    request = {"url": "/a"}
    return Case(
        f"{method} {json.dumps(response)}",
        (mapping(request, **response),),
        (Ask(response.get("status", 200), method, "/a"),),
    )


NOTHING: list[dict[str, Any]] = [{"a": None}, {"a": []}, {"a": {}}]
BASIC = "Basic dTpwOnc="

CASES = [
    on_url({"url": "/a?x=1"}, get(200, "/a?x=1"), get(404, "/a"), get(404, "/a?x=1&y=2")),
    on_url({"url": "/a"}, get(404, "/a/"), get(404, "/A"), get(200, "/a#x"), get(404, "//a"), get(200, "http://o:1/a")),
    on_url({"urlPath": "/a b"}, get(404, "/a%20b")),
    on_url({"urlPath": "/a%20b"}, get(200, "/a%20b"), get(200, "/a%20b?x")),
    on_url({"urlPattern": "/a"}, get(200, "/a"), get(404, "/ab"), get(404, "/a?x")),
    on_url({"urlPattern": "/a\\?x=.*"}, get(200, "/a?x=1")),
    on_url({"urlPathPattern": "/a/[0-9]+"}, get(200, "/a/1"), get(200, "/a/1?x=1"), get(404, "/a/x")),
    on_url(
        {"urlPathTemplate": "/a/{id}/b"},
        *(get(200, url) for url in ("/a/1/b", "/a/1%2F2/b", "/a/1/b?x=2")),
        *(get(404, url) for url in ("/a/1/2/b", "/a//b", "/a/1/b/")),
    ),
    on_url({"urlPathTemplate": "/a/**"}, get(200, "/a/x/y"), get(200, "/a/x"), get(200, "/a/"), get(404, "/b")),
    on_url(
        {"urlPathTemplate": "/a/{id}/b", "pathParameters": {"id": {"equalTo": "x y"}}},
        *(get(404, "/a/x%20y/b"), get(404, "/a/1/b")),
    ),
    on_url(
        {"urlPathTemplate": "/a/{id}", "pathParameters": {"id": {"matches": "[0-9]+"}}},
        get(200, "/a/1"),
        get(404, "/a/x"),
    ),
    on_url({}, get(200, "/zz"), Ask(200, "POST", "/zz")),
    on_url({"method": "GET"}, get(200, "/a"), Ask(404, "POST", "/a")),
    on_url({"method": "get", "url": "/a"}, get(404, "/a")),
    on_url({"method": "ANY", "url": "/a"}, get(200, "/a"), Ask(200, "POST", "/a", b"x"), Ask(200, "FOO", "/a")),
    on_url({"method": "FOO", "url": "/a"}, Ask(200, "FOO", "/a")),
    on_url({"method": "GET", "url": "/a"}, Ask(404, "HEAD", "/a")),
    on_url({"url": "/a", "queryParameters": {"q": {"equalTo": "x"}}}, get(404, "/a?q=x"), get(404, "/a")),
    on_url({"urlPath": "/a", "queryParameters": {"Q": {"equalTo": "x"}}}, get(404, "/a?q=x")),
    on_url({"urlPath": "/a", "queryParameters": {"a b": {"equalTo": "x"}}}, get(200, "/a?a+b=x"), get(200, "/a?a%20b=x")),
    *(
        on_url(
            {"url": "/a", key: {"username": "u", "password": "p:w"}},
            *(get(200, "/a", Authorization=value) for value in (BASIC, BASIC.lower()[:6] + BASIC[6:])),
            *(
                get(404, "/a"),
                get(404, "/a", Authorization="Basic dTpw"),
                get(404, "/a", Authorization=f"Bearer {BASIC}"),
            ),
        )
        for key in ("basicAuth", "basicAuthCredentials")
    ),
    on_header({"equalTo": "x"}, (200, "x"), (404, "X"), (404, "x,y"), (404, "x, y"), (404, None)),
    on_header({"equalTo": "x", "caseInsensitive": True}, (200, "X"), (404, "y"), (404, None)),
    on_header({"equalTo": "1, 2"}, (200, "1, 2"), (404, "1,2")),
    on_header({"equalTo": ""}, (200, ""), (404, None)),
    on_header({"contains": "b"}, (200, "abc"), (404, "ABC"), (404, None)),
    on_header({"doesNotContain": "b"}, (404, "abc"), (200, "acc"), (200, None)),
    on_header({"matches": "a.c"}, (200, "abc"), (404, "abcd"), (404, None)),
    on_header({"matches": ".*"}, (404, None), (200, ""), (200, "x")),
    on_header({"doesNotMatch": "a.c"}, (404, "abc"), (200, "abcd"), (200, None)),
    on_header({"absent": True}, (404, "abc"), (200, None)),
    on_header({"equalToJson": {"a": 1}}, (200, '{"a": 1}'), (404, None)),
    on_header({"matchesJsonPath": "$.a"}, (200, '{"a": 1}'), (404, None)),
    on_query(
        {"equalTo": "x"},
        (200, "q=x"),
        (404, "q=X"),
        (200, "q=y&q=x"),
        (200, "q=%78"),
        (404, "q="),
        (404, "q"),
        (404, ""),
    ),
    on_query({"equalTo": ""}, (200, "q="), (200, "q"), (404, "")),
    on_query({"equalTo": "a b"}, (200, "q=a+b"), (200, "q=a%20b")),
    on_query({"equalTo": "a+b"}, (404, "q=a+b"), (200, "q=a%2Bb")),
    on_query({"equalTo": "é"}, (200, "q=%C3%A9"), (404, "q=%E9")),
    on_query({"equalTo": "1"}, (200, "&&q=1&"), (404, "q=1=2"), (404, "q=1?x"), (404, "q=1,2")),
    on_query({"equalTo": "a;b"}, (200, "q=a;b")),
    on_query({"absent": True}, (404, "q=x"), (200, ""), (404, "q")),
    on_query({"doesNotContain": "b"}, (404, "q=abc"), (200, "q=c"), (200, ""), (200, "q=b&q=c")),
    on_query({"doesNotMatch": "b"}, (404, "q=b"), (200, "q=c"), (200, ""), (200, "q=b&q=c")),
    on_cookie(
        {"equalTo": "x"},
        *((200, value) for value in ("s=x; t=y", 's="x"', "t=y;s=x", "s=y; s=x", "s=x; s=y")),
        *((404, value) for value in ("s=x%20", "S=x", None)),
    ),
    on_cookie({"absent": True}, (404, "s=x; t=y"), (200, "t=y"), (200, None)),
    on_cookie({"equalTo": "a b"}, (200, 's="a b"'), (200, "s=a b; t=1")),
    on_body({"equalTo": "x"}, (200, "x"), (404, "x\n"), (404, "")),
    on_body({"equalTo": ""}, (404, ""), (404, "x")),
    on_body({"absent": True}, (200, ""), (404, "x")),
    on_body({"doesNotContain": "x"}, (200, ""), (404, "x"), (200, "y")),
    on_body({"doesNotMatch": "x"}, (200, ""), (404, "x"), (200, "y")),
    on_body({"contains": "é"}, (200, "é"), (404, "é".encode("latin-1"))),
    on_body({"matches": "a.*b"}, (200, "a\nb")),
    on_body({"matches": "(?<n>a)\\k<n>"}, (200, "aa"), (404, "a")),
    on_body({"matches": "(?i)a"}, (200, "A")),
    on_body({"matches": "\\d"}, (200, "3"), (404, "٣")),
    on_body({"matches": "a$"}, (200, "a"), (404, "a\n")),
    on_json(
        {"equalToJson": {"a": 1}},
        *((200, {"a": value}) for value in (1, 1.0)),
        (404, {"a": "1"}),
        (404, {"a": 1, "b": 2}),
    ),
    on_body({"equalToJson": {"a": 1.0}}, (200, '{"a":1}'), (200, '{"a":1.00}'), (200, '{"a":1e0}'), (404, ""), (404, "?")),
    on_json({"equalToJson": '{"a":1}'}, (200, {"a": 1})),
    on_json({"equalToJson": [1, 2]}, (200, [1, 2]), (404, [2, 1]), (404, [1, 2, 3])),
    on_json({"equalToJson": [1, 2], "ignoreArrayOrder": True}, (200, [2, 1]), (404, [1, 2, 3]), (404, [1, 1, 2])),
    on_json(
        {"equalToJson": [1, 2], "ignoreExtraElements": True},
        *((404, value) for value in ([2, 1], [1, 3, 2], [3, 1, 2], [2])),
        (200, [1, 2, 3]),
    ),
    on_json(
        {"equalToJson": [1, 2], "ignoreExtraElements": True, "ignoreArrayOrder": True},
        *((200, [2, 1]), (200, [3, 2, 1]), (404, [1, 1]), (404, [1])),
    ),
    on_json(
        {"equalToJson": [{}, {"a": 1}], "ignoreArrayOrder": True, "ignoreExtraElements": True},
        (200, [{"a": 1}, {"b": 1}]),
    ),
    on_json({"equalToJson": [[1, 2], [3]], "ignoreArrayOrder": True}, (200, [[3], [2, 1]])),
    on_json({"equalToJson": {"a": None}}, (200, {"a": None}), (404, {})),
    on_json({"equalToJson": {"a": None}, "ignoreExtraElements": True}, (404, {})),
    on_json({"equalToJson": {}}, (404, {"a": None})),
    on_json({"equalToJson": {}, "ignoreExtraElements": True}, (200, {"a": None})),
    on_body({"equalToJson": {}, "ignoreExtraElements": True}, (404, '{"a":NaN}')),
    on_json({"equalToJson": {"a": True}}, (404, {"a": 1}), (200, {"a": True})),
    on_json({"equalToJson": True}, (200, True), (404, 1)),
    on_json({"equalToJson": None}, (200, None), (404, 1)),
    on_json({"equalToJson": '"x"'}, (200, "x")),
    on_body({"equalToJson": {"a": 0.1}}, (404, '{"a":0.10000000000000001}'), (200, '{"a":0.100}'), (404, '{"a":NaN}')),
    on_json({"equalToJson": {"a": 10**22 + 1}}, (200, {"a": 10**22 + 1}), (404, {"a": 10**22 + 2})),
    on_json(
        {"equalToJson": {"a": "${json-unit.any-string}", "b": "#{json-unit.ignore}"}},
        *((200, {"a": "x", "b": 1}), (404, {"a": 1, "b": 1}), (404, {"a": "x"})),
    ),
    on_json({"equalToJson": {"a": "${json-unit.any-number}"}}, (200, {"a": 1}), (404, {"a": "x"})),
    on_json({"equalToJson": {"a": "${json-unit.any-boolean}"}}, (200, {"a": True}), (404, {"a": 1})),
    on_json({"equalToJson": {"a": "${json-unit.regex}[a-z]+"}}, (200, {"a": "x"}), (404, {"a": "1"})),
    on_json({"equalToJson": {"a": "${json-unit.ignore-element}"}}, (200, {"a": "x"}), (200, {})),
    on_json({"equalToJson": {"a": "x ${json-unit.any-string}"}}, (404, {"a": "x y"})),
    on_path(
        "$.a",
        *((200, {"a": value}) for value in (1, "", False, 0)),
        *((404, document) for document in NOTHING),
    ),
    on_path("$.a", (404, {"b": 1}), (404, [{"a": 1}]), (404, 1)),
    on_body({"matchesJsonPath": "$.a"}, (404, "x"), (404, "")),
    on_path("a.b", (200, {"a": {"b": 1}})),
    on_path("$.a.b[0]", (200, {"a": {"b": [1]}}), (404, {"a": {"b": []}}), (404, {"a": {"b": {"0": 1}}})),
    on_path("$.a[-1]", (200, {"a": [1]}), (404, {"a": []})),
    on_path("$['a']['b c']", (200, {"a": {"b c": 1}})),
    on_path('$["a"]', (200, {"a": 1})),
    on_path("$.a[*]", (200, {"a": [1]}), (404, {"a": []}), (200, {"a": {"b": 1}}), (404, {"a": 1})),
    on_path("$.*", (200, {"a": 1}), (404, {}), (200, [1]), (404, [])),
    on_path("$[*].a", (200, [{"a": 1}]), (404, [{"b": 1}]), (200, {"x": {"a": 1}})),
    on_path("$..a", (200, {"x": {"a": 1}}), (404, {"x": 1}), (200, [{"y": [{"a": None}]}])),
    on_path("$..*", (200, {"x": 1}), (404, {})),
    on_path("$", (200, {"x": 1}), (404, {}), (404, []), (200, 1), (200, ""), (404, None)),
    on_path("$[0]", (200, [1]), (404, [None]), (404, [[]])),
    on_path("$.a-b", (200, {"a-b": 1})),
    on_path("$.é", (200, {"é": 1})),
    on_path("$.a.length()", (200, {"a": [1, 2]}), (200, {"a": []}), (404, {"b": 1})),
    on_path(
        "$[?(@.x == 'y')]",
        (200, {"x": "y"}),
        (200, [{"x": "y"}]),
        (404, {"x": "z"}),
        (404, {"x": {"x": "y"}}),
        (404, []),
    ),
    on_path(
        "$.items[?(@.qty > 3)]",
        *((200, {"items": value}) for value in ([{"qty": 4}], {"qty": 4})),
        *((404, {"items": value}) for value in ([{"qty": 3}], [{"qty": "4"}], [{"qty": None}], [])),
    ),
    on_path("$.items[?(@.qty > 3)].name", (200, {"items": [{"qty": 4, "name": "x"}]}), (404, {"items": [{"qty": 4}]})),
    on_path("$[?(@.x)]", (200, {"x": 1}), (200, {"x": None}), (404, {"y": 1}), (200, {"x": False})),
    on_path("$[?(!@.x)]", (404, {"x": 1}), (200, {"y": 1})),
    on_path("$.t[?(@ == 'a')]", (200, {"t": ["a"]}), (404, {"t": ["b"]}), (404, {"t": "a"})),
    on_path("$[?(@.x =~ /A.*/i)]", (200, {"x": "abc"}), (404, {"x": "xabc"})),
    on_path("$[?(@.x =~ /b/)]", (404, {"x": "abc"}), (200, {"x": "b"})),
    on_path("$[?(@.a == 1 && @.b == 2)]", (200, {"a": 1, "b": 2}), (404, {"a": 1, "b": 3})),
    on_path("$[?(@.a == 1 || @.b == 2 && @.c == 3)]", (200, {"a": 1, "b": 1, "c": 1}), (404, {"a": 2, "b": 2, "c": 1})),
    on_path("$[?((@.a == 1 || @.b == 2) && @.c == 3)]", (404, {"a": 1, "b": 1, "c": 1}), (200, {"a": 1, "b": 1, "c": 3})),
    on_path("$[?(@.a == '1')]", (200, {"a": 1}), (200, {"a": "1"})),
    on_path("$[?(@.a == 1)]", (200, {"a": "1"}), (200, {"a": 1.0}), (404, {"a": True})),
    on_path("$[?(@.a == true)]", (200, {"a": True}), (404, {"a": "true"}), (404, {"a": 1})),
    on_path("$[?(@.a == null)]", (200, {"a": None}), (404, {})),
    on_path("$[?(@.a != 1)]", (200, {"a": 2}), (200, {}), (404, {"a": 1}), (404, {"a": "1"})),
    on_path("$[?(@.a != null)]", (200, {"a": 2}), (404, {"a": None})),
    on_path("$[?(@.a > 'b')]", (200, {"a": "c"}), (404, {"a": "a"})),
    on_path("$[?(@.a >= 3)]", (200, {"a": 3}), (404, {"a": 2.9})),
    on_path("$[?(@.a < -1.5)]", (200, {"a": -2}), (404, {"a": -1.5})),
    on_path("$[?(@.a.b[0] == 1)]", (200, {"a": {"b": [1]}}), (404, {"a": {"b": [2]}})),
    on_path("$[?(@['a b'] == 1)]", (200, {"a b": 1})),
    on_path("$[?(@.a == 'it\\'s')]", (200, {"a": "it's"})),
    on_path("$[?(@.a == @.b)]", (200, {"a": 1, "b": 1}), (404, {"a": 1, "b": 2})),
    on_path("$[?(1 == @.a)]", (200, {"a": 1})),
    on_path("$[?(@.a.length() > 1)]", (200, {"a": [1, 2]}), (404, {"a": [1]})),
    on_path(
        {"expression": "$.a", "equalTo": "x"},
        *((200, {"a": value}) for value in ("x", ["x"], ["y", "x"])),
        *((404, value) for value in ({"a": "y"}, {})),
    ),
    on_path({"expression": "$.a", "equalTo": "1"}, (200, {"a": 1}), (200, {"a": "1"}), (404, {"a": 1.0})),
    on_path({"expression": "$.a", "equalTo": "true"}, (200, {"a": True})),
    on_path({"expression": "$.a", "equalTo": "null"}, (404, {"a": None})),
    on_path({"expression": "$.a", "equalTo": "X", "caseInsensitive": True}, (200, {"a": "x"})),
    on_path({"expression": "$.a", "absent": True}, (200, {"a": None}), (404, {"a": 1}), (200, {}), (200, {"a": []})),
    on_body({"matchesJsonPath": {"expression": "$.a", "absent": True}}, (200, "x")),
    on_path({"expression": "$.a[*]", "absent": True}, (404, {"a": [1]}), (200, {"a": []}), (200, {})),
    on_path({"expression": "$.a[?(@.n=='x')]", "absent": True}, (404, {"a": [{"n": "x"}]}), (200, {"a": [{"n": "y"}]})),
    on_path({"expression": "$.a[*]", "doesNotContain": "x"}, (200, {"a": ["x", "y"]}), (404, {"a": ["x"]})),
    on_path({"expression": "$.a", "doesNotContain": "x"}, (404, {"a": "x"}), (200, {"a": "y"}), (404, {})),
    on_path(
        {"expression": "$.a", "equalToJson": {"b": 1}},
        (200, {"a": {"b": 1}}),
        (404, {"a": {"b": 2}}),
        (404, {"a": [{"b": 1}]}),
    ),
    on_path({"expression": "$.a", "equalToJson": "[1,2]", "ignoreArrayOrder": True}, (200, {"a": [2, 1]}), (404, {"a": [2]})),
    on_path({"expression": "$.a[*].n", "equalTo": "x"}, (200, {"a": [{"n": "y"}, {"n": "x"}]}), (404, {"a": [{"n": "y"}]})),
    on_path({"expression": "$.a", "contains": "x"}, *((200, {"a": value}) for value in ("axb", ["axb"], {"k": "axb"}))),
    on_path({"expression": "$.a", "matches": "[0-9]+"}, (200, {"a": 12}), (404, {"a": "x"}), (404, {})),
    on_path({"expression": "$.a.length()", "equalTo": "2"}, (200, {"a": [2, 1]}), (404, {"a": [2]})),
    on_path({"expression": "$.a", "matchesJsonPath": "$.b"}, (200, {"a": {"b": 1}}), (404, {"a": {}})),
    Case(
        "two body patterns",
        (mapping({"method": "POST", "bodyPatterns": [{"contains": "a"}, {"contains": "b"}]}),),
        (Ask(200, "POST", "/", b"ab"), Ask(404, "POST", "/", b"a")),
    ),
    Case(
        "a compressed body",
        (mapping({"method": "POST", "bodyPatterns": [{"equalTo": "hello"}]}),),
        (Ask(200, "POST", "/", gzip.compress(b"hello"), (("Content-Encoding", "gzip"),)),),
    ),
    Case("no request", ({"response": {"status": 201}},), (get(201, "/zz"),)),
    Case("no response", ({"request": {"url": "/a"}},), (get(200, "/a"),)),
    Case(
        "nulls",
        ({"request": {"url": "/a", "headers": None}, "response": None, "scenarioName": None},),
        (get(200, "/a"),),
    ),
    Case("newest first", (mapping({"url": "/a"}, body="1"), mapping({"url": "/a"}, body="2")), (get(200, "/a"),)),
    Case(
        "priority",
        (
            *(mapping({"url": "/a"}, body=str(rank)) | {"priority": rank} for rank in (1, 9)),
            mapping({}, body="5"),
        ),
        (get(200, "/a"), get(200, "/b")),
    ),
    answers(body="x"),
    answers(body="é", headers={"Content-Type": "text/plain; charset=ISO-8859-1"}),
    answers(jsonBody={"a": [1, {"b": "é"}], "c": 1.0, "d": None}),
    answers(jsonBody="x"),
    answers(jsonBody=None),
    answers(base64Body="aGk="),
    answers(method="HEAD", body="x"),
    answers(status=204, body="x"),
    answers(status=304, body="x"),
    answers(status=418, body="short and stout"),
    answers(status=503, statusMessage="Odd One"),
    answers(headers={"A": ["1", "2"], "Content-Type": "text/x"}, body="x"),
    answers(headers={"Connection": "close"}, body="x"),
    answers(headers={"Transfer-Encoding": "chunked"}, body="x"),
    answers(fixedDelayMilliseconds=1, body="x"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_as_the_table_says(stub: Any, case: Case) -> None:
    stub.add(*case.mappings)

    assert [_ask(stub.port, ask)[0] for ask in case.asks] == [ask.status for ask in case.asks]


@pytest.mark.docker
def test_answers_as_wiremock_does(stub: Any, wiremock: int) -> None:
    differences = []
    for case in CASES:
        for port in (stub.port, wiremock):
            _send(port, "DELETE", "/__admin/mappings")
            for given in case.mappings:
                assert _send(port, "POST", "/__admin/mappings", json.dumps(given).encode())[0] == 201, case.name
        for ask in case.asks:
            ours, theirs = _ask(stub.port, ask), _ask(wiremock, ask)
            if ours != theirs:
                differences.append((case.name, ask, ours, theirs))

    assert not differences


@pytest.fixture
def wiremock() -> Iterator[int]:
    """Yield the port of a real WireMock."""
    if not shutil.which("docker") or _docker("image", "inspect", WIREMOCK).returncode:
        pytest.skip(f"no Docker daemon with {WIREMOCK} here")
    container = _docker("run", "--detach", "--rm", "--publish", "127.0.0.1::8080", WIREMOCK).stdout.strip()
    try:
        port = int(_docker("port", container, "8080/tcp").stdout.rpartition(":")[2])
        _await_health(port)
        yield port
    finally:
        _docker("rm", "--force", container)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def _await_health(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if _send(port, "GET", "/__admin/health")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.25)
    raise AssertionError("WireMock did not start")


def _ask(port: int, ask: Ask) -> tuple[int, str, bytes, str | None, list[str]]:
    """Return the parts of the answer that must be the same; the text of a 404 may differ."""
    status, reason, body, headers = _send(port, ask.method, ask.url, ask.body, dict(ask.headers))
    if status == 404:
        return status, "", b"", None, []
    return status, reason, body, headers.get("Content-Type"), headers.get_all("A") or []


def _send(
    port: int, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, url, body, headers or {})
        response = connection.getresponse()
        return response.status, response.reason, response.read(), response.headers
    finally:
        connection.close()
