"""Tests of mapping files: where the stub finds them, and the errors of invalid ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import envctl.servers.stub
from envctl.servers.stub.loading import MappingError, load

if TYPE_CHECKING:
    from tests.servers.stub.conftest import Start

STUB = Path(envctl.servers.stub.__file__).parent
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a file below the working directory and returns its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: object) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def on(url: str, **members: Any) -> dict[str, Any]:
    return {"request": {"url": url}, **members}


def refusal(*paths: object) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load([str(path) for path in paths])
    return caught.value.messages


@pytest.mark.parametrize("content", [on("/a"), [on("/a")], {"mappings": [on("/a")], "meta": {"total": 1}}])
def test_takes_one_mapping_or_several(write: Write, content: object) -> None:
    (mapping,) = load([write("a.json", content)])

    assert mapping.described()["request"] == {"url": "/a"}


def test_takes_a_byte_order_mark(write: Write) -> None:
    assert len(load([write("a.json", b"\xef\xbb\xbf{}")])) == 1


def test_accepts_keys_without_effect(write: Write) -> None:
    identity = "11111111-1111-1111-1111-111111111111"
    mapping = on("/a", uuid=identity, persistent=True, metadata={"x": 1}, scenarioName=None, response={"transformers": []})

    assert load([write("a.json", mapping)])[0].id == identity


def test_searches_folders_but_not_for_bodies_or_hidden_files(write: Write) -> None:
    for name in ("mappings/b.json", "mappings/a.json", "mappings/deep/er/c.json", "mappings/.hidden.json"):
        write(name, on(f"/{name}"))
    write("mappings/__files/body.json", "not a mapping")
    write("mappings/..2024_01_01/a.json", on("/configmap"))
    write("mappings/readme.txt", "not a mapping")

    urls = [mapping.pattern.checks[0].matcher.expected for mapping in load(["mappings"])]

    assert urls == ["/mappings/a.json", "/mappings/b.json", "/mappings/deep/er/c.json"]


def test_loads_a_file_once_that_is_named_twice(write: Write) -> None:
    file = write("mappings/a.json", on("/a"))

    assert len(load(["mappings", file, file.absolute()])) == 1


@pytest.mark.parametrize("files", ["__files", "mappings/__files", "mappings/deep/__files"])
@pytest.mark.parametrize("route", ["mappings", "mappings/deep"])
def test_finds_body_files_beside_and_above(write: Write, files: str, route: str) -> None:
    write("mappings/deep/a.json", on("/a", response={"bodyFileName": "sub/body.bin"}))
    write(f"{files}/sub/body.bin", b"\x00\xff")
    outside = route == "mappings/deep" and files == "__files"

    if outside:
        assert "no file 'sub/body.bin'" in refusal(route)[0]
    else:
        assert load([route])[0].response.body == b"\x00\xff"


def test_finds_body_files_of_a_single_mapping_file(write: Write) -> None:
    file = write("mappings/a.json", on("/a", response={"bodyFileName": "body"}))
    write("__files/body", b"content")

    assert load([file])[0].response.body == b"content"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret"])
def test_refuses_body_files_elsewhere(write: Write, name: str) -> None:
    write("mappings/a.json", on("/a", response={"bodyFileName": name}))
    write("mappings/secret", "x")

    (message,) = refusal("mappings")

    assert message == f"mappings/a.json: mapping 1: response: bodyFileName: {name!r} is outside of __files"


def test_reports_invalid_json_with_its_line(write: Write) -> None:
    file = write("a.json", '{\n  "request": {},\n  "response": }\n')

    assert refusal(file) == ["a.json:3: not valid JSON: Expecting value (column 15)"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "a.json: not UTF-8"),
        ("5", 'a.json: must be a mapping, a list of them or {"mappings": [...]}, not a number'),
        ('{"mappings": 5}', 'a.json: must be a mapping, a list of them or {"mappings": [...]}, not a number'),
        ('{"mappings": [], "x": 1}', "a.json: unknown key 'x' beside 'mappings'"),
        ("[5]", "a.json: mapping 1: must be an object, not a number"),
        ("[" * 100_000, "a.json: not valid JSON: "),
    ],
)
def test_reports_files_that_hold_no_mappings(write: Write, content: str | bytes, message: str) -> None:
    (found,) = refusal(write("a.json", content))

    assert found.startswith(message)


def test_reports_what_is_not_there(write: Write) -> None:
    Path("empty").mkdir()

    assert refusal("nowhere", "empty") == ["nowhere: no such file or folder", "empty: no *.json in this folder"]


def test_reports_an_id_that_is_used_twice(write: Write) -> None:
    identity = "11111111-1111-1111-1111-111111111111"
    file = write("a.json", [on("/a", id=identity), on("/b", id=identity, name="B")])

    assert refusal(file) == [f"a.json: mapping 2 (B): id {identity!r} is taken by a.json: mapping 1"]


KNOWN_MATCHERS = "absent, contains, doesNotContain, doesNotMatch, equalTo, equalToJson, matches, matchesJsonPath"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"foo": 1}, "unknown key 'foo'; known: id, name, priority, request, response"),
        ({"scenarioName": "s"}, "'scenarioName' is not supported; supported: id, name, priority, request, response"),
        ({"id": "x"}, "id: 'x' is not a UUID; a name may be any text"),
        ({"name": 5}, "name: must be a string, not a number"),
        ({"priority": "1"}, f"priority: must be a whole number from {1 - 2**31} to {2**31 - 1}, not '1'"),
        ({"request": []}, "request: must be an object, not a list"),
        ({"request": {"urll": "/a"}}, "request: unknown key 'urll'; known: "),
        (
            {"request": {"multipartPatterns": [{}]}},
            "request: 'multipartPatterns' is not supported; supported: basicAuth, ",
        ),
        ({"request": {"url": "/a", "urlPath": "/a"}}, "request: only one of url, urlPath is allowed"),
        ({"request": {"urlPattern": "("}}, "request: urlPattern: regular expression '(': missing ), "),
        (
            {"request": {"urlPattern": "[a-z&&[^b]]"}},
            "request: urlPattern: regular expression '[a-z&&[^b]]': Possible set ",
        ),
        ({"request": {"urlPathTemplate": "/{a}/{a}"}}, "request: urlPathTemplate: '/{a}/{a}': must be made of text, "),
        ({"request": {"urlPathTemplate": "/{a b}"}}, "request: urlPathTemplate: '/{a b}': must be made of text, "),
        ({"request": {"pathParameters": {"a": {"equalTo": "1"}}}}, "request: pathParameters: needs a urlPathTemplate"),
        (
            {"request": {"urlPathTemplate": "/{a}", "pathParameters": {"b": {"equalTo": "1"}}}},
            "request: pathParameters: b: unknown parameter 'b'; known: a",
        ),
        (
            {"request": {"headers": {"A": {"eqalTo": "x"}}}},
            f"request: headers: A: unknown matcher 'eqalTo'; known: {KNOWN_MATCHERS}",
        ),
        ({"request": {"headers": {"A": None}}}, "request: headers: A: must be an object, not null"),
        ({"request": {"headers": {"A": {"equalTo": None}}}}, "request: headers: A: must be a string, not null"),
        ({"response": {"headers": {"A": None}}}, "response: headers: A: must be a string, not null"),
        ({"request": {"headers": {"A": "x"}}}, "request: headers: A: must be an object, not a string"),
        (
            {"request": {"headers": {"A": {}}}},
            "request: headers: A: needs exactly one matcher, has none; known: absent, ",
        ),
        (
            {"request": {"headers": {"A": {"contains": "x", "equalTo": "x"}}}},
            "request: headers: A: needs exactly one matcher, has contains, equalTo; known: ",
        ),
        (
            {"request": {"headers": {"A": {"contains": "x", "caseInsensitive": True}}}},
            "request: headers: A: 'caseInsensitive' has no effect on 'contains'",
        ),
        ({"request": {"cookies": {"A": {"absent": False}}}}, "request: cookies: A: absent: must be true, not False"),
        (
            {"request": {"basicAuth": {"username": "u"}}},
            "request: basicAuth: must be an object of username and password",
        ),
        ({"request": {"bodyPatterns": {}}}, "request: bodyPatterns: must be a list, not an object"),
        (
            {"request": {"bodyPatterns": [{"equalToJson": "{"}]}},
            "request: bodyPatterns: [0]: equalToJson: not valid JSON: Expecting property name ",
        ),
        (
            {"request": {"bodyPatterns": [{"equalToJson": {"a": ["${json-unit.any-date}"]}}]}},
            "request: bodyPatterns: [0]: unknown json-unit placeholder 'any-date'; known: any-boolean, ",
        ),
        (
            {"request": {"bodyPatterns": [{"matchesJsonPath": "$.a["}]}},
            "request: bodyPatterns: [0]: JSONPath '$.a[': a name or",
        ),
        (
            {"request": {"bodyPatterns": [{"matchesJsonPath": "$.a[0:1]"}]}},
            "request: bodyPatterns: [0]: JSONPath '$.a[0:1]': `]`",
        ),
        (
            {"request": {"bodyPatterns": [{"matchesJsonPath": "$.a b"}]}},
            "request: bodyPatterns: [0]: JSONPath '$.a b': a step",
        ),
        ({"request": {"bodyPatterns": [{"matchesJsonPath": "$[?(@.a ==)]"}]}}, "request: bodyPatterns: [0]: JSONPath "),
        (
            {"request": {"bodyPatterns": [{"matchesJsonPath": {"expression": "$.a"}}]}},
            "request: bodyPatterns: [0]: needs exactly one matcher, has none; ",
        ),
        ({"response": {"fault": "EMPTY_RESPONSE"}}, "response: 'fault' is not supported; supported: base64Body, "),
        ({"response": {"boddy": "x"}}, "response: unknown key 'boddy'; known: base64Body, "),
        ({"response": {"body": "x", "jsonBody": {}}}, "response: only one of body, jsonBody is allowed"),
        ({"response": {"body": 5}}, "response: body: must be a string, not a number"),
        ({"response": {"base64Body": "!!"}}, "response: base64Body: not valid base64: "),
        ({"response": {"status": 99}}, "response: status: must be a whole number from 200 to 999, not 99"),
        ({"response": {"status": True}}, "response: status: must be a whole number from 200 to 999, not True"),
        (
            {"response": {"fixedDelayMilliseconds": -1}},
            "response: fixedDelayMilliseconds: must be a whole number from 0 to ",
        ),
        (
            {"response": {"headers": {"A": "x\r\nB: y"}}},
            "response: headers: A: contains a character that is not allowed in a header",
        ),
        ({"response": {"headers": {"A B": "x"}}}, "response: headers: A B: is not a name that a header can have"),
        ({"response": {"headers": {"A": 5}}}, "response: headers: A: must be a string, not a number"),
        ({"response": {"statusMessage": "a\nb"}}, "response: statusMessage: contains a character "),
    ],
)
def test_refuses_a_wrong_mapping(write: Write, mapping: dict[str, Any], message: str) -> None:
    (found,) = refusal(write("a.json", mapping))

    assert found.startswith(f"a.json: mapping 1: {message}")


def test_reports_every_mistake_of_every_file(write: Write) -> None:
    write("m/a.json", [on("/a"), on("/b", name="B", priority="x", response={"status": 1, "foo": 2})])
    write("m/b.json", "{")
    write("m/c.json", {"request": {"headers": {"A": {"x": 1}, "B": {"y": 1}}, "method": 1}})

    messages = [message.split(";")[0].split(", not")[0] for message in refusal("m")]

    assert messages == [
        f"m/a.json: mapping 2 (B): priority: must be a whole number from {1 - 2**31} to {2**31 - 1}",
        "m/a.json: mapping 2 (B): response: unknown key 'foo'",
        "m/a.json: mapping 2 (B): response: status: must be a whole number from 200 to 999",
        "m/b.json:1: not valid JSON: Expecting property name enclosed in double quotes (column 2)",
        "m/c.json: mapping 1: request: method: must be a string",
        "m/c.json: mapping 1: request: headers: A: unknown matcher 'x'",
        "m/c.json: mapping 1: request: headers: B: unknown matcher 'y'",
    ]


def test_the_program_prints_the_mistakes_and_ends_with_2(write: Write) -> None:
    file = write("a.json", [on("/a", foo=1), on("/b", response={"status": 1})])

    ended = subprocess.run([sys.executable, STUB, "--routes", file], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == refusal(file)


def test_the_program_takes_several_routes(write: Write, start_stub: Start) -> None:
    write("one/mappings/a.json", on("/a", response={"bodyFileName": "a.txt"}))
    write("one/__files/a.txt", b"first")
    file = write("b.json", on("/b", response={"body": "second"}))

    stub = start_stub("--routes", "one", "--routes", file)
    stub.add(on("/c", response={"bodyFileName": "a.txt"}))

    assert [stub.get(url).text for url in ("/a", "/b", "/c")] == ["first", "second", "first"]
