"""Tests of the evidence that a failed test's report contains: it is about the test's own lane only."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from envctl.instance.record import Record, ServiceRecord
from envctl.pytest_plugin import evidence
from tests.builders import record_of

SERVICES = {"db": ServiceRecord("postgres"), "api": ServiceRecord("api", lane=1), "api-lane2": ServiceRecord("api", lane=2, written="api")}


def told(monkeypatch: pytest.MonkeyPatch, lane: int, log: bytes = b"GET /\n") -> tuple[str, str]:
    """Return the phase and the report's sections of a failed test in *lane*, while the API of lane 1 is dead."""
    record = record_of(services=SERVICES)
    states = {"db": "seeded", "api": "stopped", "api-lane2": "ready"}
    document = {"state": "failed", "services": {name: {"state": state} for name, state in states.items()}}
    there = SimpleNamespace(states=dict, logs=lambda name, lines: [log])
    monkeypatch.setattr(evidence, "running_instance", lambda *_: there)
    monkeypatch.setattr(evidence, "document", lambda *_: document)
    monkeypatch.setattr(evidence, "text", lambda pieces: b"".join(pieces).decode())
    report: Any = SimpleNamespace(when="call", sections=[])
    session: Any = SimpleNamespace(store=SimpleNamespace(load=lambda _: replace(record)), host=None)
    evidence.add_evidence(report, session, _known(record), lane)
    return report.when, "\n".join(text for _, text in report.sections)


def _known(record: Record) -> Record:
    return replace(record, services={})


def test_a_dead_service_of_its_lane_makes_it_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    when, text = told(monkeypatch, 1)

    assert when == "setup"
    assert "api is stopped" in text


def test_another_lane_s_dead_service_leaves_the_failure_to_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    when, text = told(monkeypatch, 2)

    assert when == "call"
    assert "last lines of api-lane2:\n  GET /" in text
    assert "api:" not in text


def test_a_silent_service_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "last lines of api-lane2:\n  (nothing)" in told(monkeypatch, 2, b"")[1]
