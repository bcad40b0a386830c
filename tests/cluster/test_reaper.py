"""Tests of the reaper: which instances it removes, and one complete pass against a simulated API."""

from __future__ import annotations

import importlib.util
import urllib.error
from datetime import UTC, datetime
from email.message import Message
from io import BytesIO
from typing import Any

import pytest

from envctl.files.package_data import templates
from envctl.instance import labels
from envctl.keeper.cluster.presence import record_name

spec = importlib.util.spec_from_file_location("reaper", templates("kubernetes", "cluster", "reaper.py"))
assert spec is not None
assert spec.loader is not None
reaper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reaper)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EARLIER, LATER = "2026-05-01T11:59:59Z", "2026-05-01T12:00:01Z"


def namespace(name: str = "a-123456", label: str | None = None, **annotations: str) -> dict[str, Any]:
    meta = {"name": name, "uid": f"uid of {name}", "resourceVersion": "7", "labels": {labels.INSTANCE: label or name}}
    return {"metadata": {**meta, "annotations": {f"envctl.{key.replace('_', '-')}": value for key, value in annotations.items()}}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (namespace(), ""),
        (namespace(expires=EARLIER), f"expired {EARLIER}"),
        (namespace(expires=LATER), ""),
        (namespace(expires="tomorrow"), ""),
        (namespace(expires=EARLIER, hold="until Friday"), ""),
        (namespace(expires=EARLIER, label="another"), ""),
        (namespace(owner="host:1:2", alive_until=EARLIER), f"its owner has not reported since {EARLIER}"),
        (namespace(owner="host:1:2", alive_until=LATER), ""),
        (namespace(owner="host:1:2"), ""),
        (namespace(alive_until=EARLIER), ""),
    ],
)
def test_what_is_to_go(given: dict[str, Any], why: str) -> None:
    assert reaper.reason(given, NOW) == why


def test_its_names_are_those_of_the_package() -> None:
    assert (reaper.INSTANCE, reaper.EXPIRES, reaper.OWNER) == (labels.INSTANCE, labels.EXPIRES, labels.OWNER)
    assert (reaper.ALIVE, reaper.HOLD, reaper.RECORD) == (labels.ALIVE, labels.HOLD, labels.RECORD)


def swept(
    items: list[dict[str, Any]], at_most: int = 20, refusing: dict[str, OSError] | None = None
) -> tuple[tuple[int, int, int], list[tuple[str, Any]]]:
    deleted = []

    def ask(method: str, path: str, body: Any) -> Any:
        name = path.rpartition("/")[2]
        if method == "GET":
            return {"items": items}
        if refusing and name in refusing:
            raise refusing[name]
        deleted.append((name, body["preconditions"]))
        return {}

    return reaper.sweep(ask, NOW, at_most), deleted


def refusal(status: int) -> OSError:
    return urllib.error.HTTPError("path", status, "Forbidden", Message(), BytesIO(b'{"message": "a webhook says no"}'))


def test_what_is_deleted_is_what_was_looked_at() -> None:
    done, deleted = swept([namespace(expires=EARLIER), namespace("b-123456", expires=LATER)])
    assert done == (1, 0, 0)
    assert deleted == [("a-123456", {"uid": "uid of a-123456", "resourceVersion": "7"})]


def test_no_more_than_so_many_go_at_once() -> None:
    done, deleted = swept([namespace(f"n{number}-123456", expires=EARLIER) for number in range(5)], at_most=2)
    assert done == (2, 0, 3)
    assert len(deleted) == 2


@pytest.mark.parametrize("status", [404, 409])
def test_what_has_changed_meanwhile_stays(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    done, _ = swept([namespace(expires=EARLIER)], refusing={"a-123456": refusal(status)})
    assert done == (0, 0, 1)
    assert "it has changed in the meantime" in capsys.readouterr().out


@pytest.mark.parametrize("error", [refusal(403), TimeoutError("timed out")])
def test_one_that_cannot_be_deleted_keeps_no_other(error: OSError, capsys: pytest.CaptureFixture[str]) -> None:
    done, deleted = swept([namespace(f"{name}-123456", expires=EARLIER) for name in "abc"], at_most=2, refusing={"a-123456": error})
    assert done == (2, 1, 0)
    assert [name for name, _ in deleted] == ["b-123456", "c-123456"]
    assert f"a-123456: expired {EARLIER}, but it cannot be deleted: {error}" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "code"), [(403, 1), (409, 0)])
def test_a_refusal_is_no_success(status: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    expired = namespace(expires="2026-01-01T00:00:00Z")

    def ask(method: str, path: str, body: Any) -> Any:
        if method == "GET":
            return {"items": [expired]}
        raise refusal(status)

    monkeypatch.setattr(reaper, "ask", ask)
    assert reaper.main() == code
    assert ("a webhook says no" in capsys.readouterr().out) is (code == 1)


def test_in_a_namespace_of_several_it_is_their_records_that_go() -> None:
    records = [namespace(record_name(id), label=id, expires=expires) for id, expires in (("a-123456", EARLIER), ("b-123456", LATER))]
    asked = []

    def ask(method: str, path: str, body: Any) -> Any:
        asked.append((method, path))
        # A secret with another name than `<id>-instance` is not a record of envctl.
        return {"items": [*records, namespace("c-123456", expires=EARLIER)]}

    assert reaper.sweep(ask, NOW, 20, "team") == (1, 0, 0)
    assert asked == [
        ("GET", f"/api/v1/namespaces/team/secrets?labelSelector={labels.RECORD}"),
        ("DELETE", "/api/v1/namespaces/team/secrets/a-123456-instance"),
    ]
