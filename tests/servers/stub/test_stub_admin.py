"""Tests of the stub's admin API and journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envctl.servers.http.message import Request
from envctl.servers.stub.journal import Entry, Journal

if TYPE_CHECKING:
    from tests.servers.stub.conftest import RunningStub, Start

IDENTITY = "11111111-1111-1111-1111-111111111111"


def get(stub: RunningStub, url: str) -> Any:
    return stub.get(url).json


def post(stub: RunningStub, url: str, document: object) -> Any:
    return stub.call("POST", url, json.dumps(document)).json


def test_is_healthy(stub: RunningStub) -> None:
    reply = stub.get("/__admin/health")

    assert (reply.status, reply.json) == (200, {"status": "healthy"})


def test_a_mapping_can_be_added_listed_and_deleted(stub: RunningStub) -> None:
    mapping = {"id": IDENTITY, "name": "A", "request": {"url": "/a"}, "response": {"status": 202}}

    added = stub.call("POST", "/__admin/mappings", json.dumps(mapping))

    assert (added.status, added.json) == (201, {**mapping, "uuid": IDENTITY})
    assert get(stub, "/__admin/mappings") == {"mappings": [added.json], "meta": {"total": 1}}
    assert get(stub, f"/__admin/mappings/{IDENTITY}") == added.json
    reply = stub.get("/a")
    assert (reply.status, reply.headers["Matched-Stub-Id"]) == (202, IDENTITY)
    assert stub.call("DELETE", f"/__admin/mappings/{IDENTITY}").status == 200
    assert stub.call("DELETE", f"/__admin/mappings/{IDENTITY}").status == 404
    assert stub.get(f"/__admin/mappings/{IDENTITY}").status == 404
    assert stub.get("/a").status == 404


def test_an_added_mapping_gets_an_id(stub: RunningStub) -> None:
    added = post(stub, "/__admin/mappings", {"request": {"url": "/a"}})

    assert added["id"] == added["uuid"]
    assert stub.call("DELETE", f"/__admin/mappings/{added['id']}").status == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{", "not valid JSON: "),
        ('{"foo": 1}', "unknown key 'foo'; known: "),
        ("[]", "must be an object, not a list"),
        ('{"response": {"bodyFileName": "x"}}', "response: bodyFileName: no file 'x'"),
        ('{"response": {"bodyFileName": "../x"}}', "response: bodyFileName: '../x' is outside"),
    ],
)
def test_a_wrong_mapping_is_refused(stub: RunningStub, body: str, detail: str) -> None:
    reply: Any = stub.call("POST", "/__admin/mappings", body)

    assert reply.status == 422
    assert reply.json["errors"][0]["detail"].startswith(detail)
    assert get(stub, "/__admin/mappings")["mappings"] == []


def test_an_id_is_given_once(stub: RunningStub) -> None:
    stub.add({"id": IDENTITY})

    assert stub.call("POST", "/__admin/mappings", json.dumps({"id": IDENTITY})).status == 422


def test_reset_brings_back_what_was_loaded(start_stub: Start, tmp_path: Path) -> None:
    routes = tmp_path / "a.json"
    routes.write_text('{"request": {"url": "/a"}, "response": {"body": "loaded"}}')
    stub = start_stub("--routes", routes)
    for url, requests_left in (("/__admin/mappings/reset", 1), ("/__admin/reset", 0)):
        stub.call("DELETE", "/__admin/requests")
        stub.add({"request": {"url": "/a"}, "response": {"body": "added"}})
        assert stub.get("/a").text == "added"

        assert stub.call("POST", url).status == 200

        assert get(stub, "/__admin/requests")["meta"] == {"total": requests_left}
        assert stub.get("/a").text == "loaded"
        stub.call("DELETE", "/__admin/mappings")
        assert stub.get("/a").status == 404


def test_the_journal_tells_what_came_in(stub: RunningStub) -> None:
    stub.add({"id": IDENTITY, "request": {"urlPath": "/a"}})
    headers = {"X-A": "1", "Cookie": "k=v; l=w"}
    stub.call("POST", "/a?q=1&q=2&r=%20", "höllo", headers)
    stub.get("/missing")

    journal = get(stub, "/__admin/requests")
    missing, found = journal["requests"]

    assert journal["meta"] == {"total": 2}
    assert (missing["wasMatched"], missing["request"]["url"]) == (False, "/missing")
    assert missing["responseDefinition"] == {"status": 404}
    request = found["request"]
    assert (found["wasMatched"], found["stubMapping"]["id"]) == (True, IDENTITY)
    assert (request["method"], request["url"], request["body"]) == ("POST", "/a?q=1&q=2&r=%20", "höllo")
    assert request["absoluteUrl"] == f"http://127.0.0.1:{stub.port}/a?q=1&q=2&r=%20"
    assert request["bodyAsBase64"] == "aMO2bGxv"
    assert request["headers"].items() >= headers.items()
    assert request["cookies"] == {"k": "v", "l": "w"}
    assert request["queryParams"] == {"q": {"key": "q", "values": ["1", "2"]}, "r": {"key": "r", "values": [" "]}}
    assert request["loggedDate"] <= missing["request"]["loggedDate"]
    assert get(stub, "/__admin/requests")["requests"][0]["id"] == missing["id"]


def test_the_journal_can_be_narrowed(stub: RunningStub) -> None:
    stub.add({"request": {"urlPath": "/a"}})
    for url in ("/a", "/b", "/a?x"):
        stub.get(url)

    def urls(query: str) -> list[str]:
        return [entry["request"]["url"] for entry in get(stub, f"/__admin/requests?{query}")["requests"]]

    assert urls("") == ["/a?x", "/b", "/a"]
    assert urls("limit=2") == ["/a?x", "/b"]
    assert urls("unmatched=true") == ["/b"]


def test_requests_can_be_counted_and_found(stub: RunningStub) -> None:
    for url in ("/a", "/b", "/a?x=1"):
        stub.call("POST", url, '{"n": 1}')
    stub.get("/a")
    pattern = {"method": "POST", "urlPath": "/a", "bodyPatterns": [{"matchesJsonPath": "$[?(@.n == 1)]"}]}

    assert post(stub, "/__admin/requests/count", pattern) == {"count": 2}
    assert post(stub, "/__admin/requests/count", {}) == {"count": 4}
    assert post(stub, "/__admin/requests/count", {"url": "/zz"}) == {"count": 0}
    found = post(stub, "/__admin/requests/find", pattern)["requests"]
    assert [request["url"] for request in found] == ["/a", "/a?x=1"]
    assert stub.call("DELETE", "/__admin/requests").status == 200
    assert post(stub, "/__admin/requests/count", {}) == {"count": 0}


@pytest.mark.parametrize("action", ["count", "find"])
@pytest.mark.parametrize("body", ["{", '{"urll": "/a"}'])
def test_a_wrong_request_pattern_is_refused(stub: RunningStub, action: str, body: str) -> None:
    assert stub.call("POST", f"/__admin/requests/{action}", body).status == 422


def test_admin_requests_are_not_in_the_journal_and_have_no_mappings(stub: RunningStub) -> None:
    stub.add({"response": {"body": "everything"}})

    assert stub.get("/__admin/nope").status == 404
    assert "GET /__admin/health" in stub.get("/__admin").text
    assert stub.get("/__administrator").text == "everything"
    assert get(stub, "/__admin/requests")["meta"] == {"total": 1}


def test_the_journal_keeps_the_latest() -> None:
    journal = Journal(most_entries=3, most_bytes=10)
    for url, size in (("/a", 1), ("/b", 1), ("/c", 1), ("/d", 1)):
        journal.record(Entry(Request("GET", url, body=b"x" * size), 200, None))
    assert [entry.request.url for entry in journal.entries()] == ["/b", "/c", "/d"]

    journal.record(Entry(Request("GET", "/e", body=b"x" * 9), 200, None))
    assert [entry.request.url for entry in journal.entries()] == ["/d", "/e"]

    journal.record(Entry(Request("GET", "/f", body=b"x" * 11), 200, None))
    assert journal.entries() == []
