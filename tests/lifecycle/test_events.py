"""The events that are reported while an instance comes up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envctl.lifecycle.events import LOG, Event, EventLog, Events, Phase
from tests.builders import plan_with, service, step_of
from tests.lifecycle.line import HEALTH, SERVER, MakeLine, Told

PLAN = plan_with(service("db"))
SETUP: Any = ((("make", "topic"), {}, ""),)


def test_the_phases_of_a_service_with_seeds(line: MakeLine) -> None:
    found = line(service("db", setup=SETUP, steps=(step_of("db", **SERVER), step_of("db", 1, **SERVER)), **HEALTH)).run()
    assert found.path["db"] == [Phase.STARTING, Phase.WAITING, Phase.READY, Phase.SETTING_UP, Phase.SEEDING, Phase.SEEDED]
    assert [detail for _, phase, detail in found.told if phase is Phase.SEEDING] == ["command seed 0", "command seed 1"]
    times = [event.at for event in found.listener.events]
    assert times == sorted(times)


def test_every_listener_is_told() -> None:
    one, other = Told(), Told()
    events = Events([one, other])
    events.begin(PLAN)
    events.tell("db", Phase.STARTING)
    events.say("words")
    events.progress("db", "pulling")
    events.progress("", "building")
    events.end()
    assert one.events == other.events
    assert [(event.service, event.phase, event.detail) for event in one.events] == [
        ("db", Phase.STARTING, ""), ("", None, "words"), ("db", Phase.PREPARING, "pulling"), ("", None, "building"),
    ]  # fmt: skip
    assert (one.begun, one.ended, other.ended) == (1, 1, 1)


def test_after_the_end_nobody_is_told() -> None:
    told = Told()
    events = Events([told])
    events.end()
    events.tell("db", Phase.SEEDED)
    events.say("words")
    assert (told.events, told.ended) == ([], 1)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in (folder / LOG).read_text("utf-8").splitlines()]


def test_the_log_has_a_line_for_each(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.event(Event(0.0, "db", Phase.STARTING))  # ignored: begin has not been called
    log.begin(PLAN)
    log.event(Event(1.00049, "db", Phase.SEEDING, "sql ü\n"))
    assert lines(tmp_path) == [{"at": 1.0, "service": "db", "phase": "seeding", "detail": "sql ü\n"}], "at once, not at the end"
    log.begin(PLAN)  # a second attempt, with another port
    log.event(Event(2.0, "", None, "bye"))
    log.end()
    log.end()
    log.event(Event(3.0, "db", Phase.DONE))  # ignored: an event of a thread that still runs after the end
    log = EventLog(tmp_path)
    log.begin(PLAN)
    log.end()
    assert [line["detail"] for line in lines(tmp_path)] == ["sql ü\n", "bye"]


def test_the_log_is_its_owners_alone(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.begin(PLAN)
    log.end()
    assert (tmp_path / LOG).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [True, False], ids=["no room", "no folder"])
def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    log = EventLog(tmp_path if kept else tmp_path / "gone")
    log.begin(PLAN)
    if kept:
        assert log._stream is not None
        log._stream.close()
    for _ in range(2):
        log.event(Event(1.0, "db", Phase.STARTING))
    log.end()
