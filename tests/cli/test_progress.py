from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from envctl.cli import progress
from envctl.cli.progress import Lines, Table, listener
from envctl.lifecycle.events import Event, Phase
from envctl.session.mask import Mask
from tests.builders import plan_with, service, session_in, step_of

PLAN = plan_with(service("db", steps=(step_of("db"),)), service("orders"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a fake terminal for redirect_stderr.

    pytest replaces stderr between a fixture and its test, so the fixture itself cannot redirect it.
    """
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def event(name: str, phase: Phase | None, detail: str = "") -> Event:
    return Event(0.0, name, phase, detail)


def hiding(*secrets: str) -> Mask:
    mask = Mask()
    mask.add(secrets)
    return mask


def shown(text: str) -> list[str]:
    """Return the lines without their times."""
    return [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in text.splitlines()]


# Choosing lines or a table


def test_a_terminal_has_a_table(terminal: Terminal, tmp_path: Path) -> None:
    with redirect_stderr(terminal):
        assert isinstance(listener(session_in(tmp_path, TERM="xterm")), Table)


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_terminal_that_cannot_move_has_lines(terminal: Terminal, tmp_path: Path, name: str, value: str) -> None:
    with redirect_stderr(terminal):
        assert isinstance(listener(session_in(tmp_path, None, **{name: value})), Lines)


def test_what_is_no_terminal_has_lines(tmp_path: Path) -> None:
    assert isinstance(listener(session_in(tmp_path)), Lines)


# Lines


def test_one_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Mask())
    lines.begin(PLAN)
    for each in [
        event("db", Phase.PREPARING, "pulling x:1: 50 % of a layer"),
        event("db", Phase.PREPARING, "pulling x:1: 50 % of a layer"),
        event("db", Phase.STARTING),
        event("db", Phase.WAITING),
        event("db", Phase.READY),
        event("db", Phase.SEEDING, "sql x"),
        event("orders", Phase.SEEDED),
        event("db", Phase.SEEDED),
        event("db", Phase.FAILED, "it ended with 1"),
        event("", None, "bye"),
    ]:
        lines.event(each)
    lines.end()
    found = capsys.readouterr()
    assert found.out == ""
    assert shown(found.err) == [
        "t: 2 services on docker (t-123456)",
        "db      pulling x:1: 50 % of a layer",
        "db      starting",
        "db      ready",
        "db      seeding: sql x",
        "orders  ready",
        "db      seeded",
        "db      failed: it ended with 1",
        "bye",
    ]


def test_one_service_is_one_service(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(Mask()).begin(plan_with(service("db")))
    assert shown(capsys.readouterr().err) == ["t: 1 service on docker (t-123456)"]


def test_lines_hold_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(hiding("topsecret"))
    lines.event(event("db", Phase.FAILED, "cannot log in with topsecret"))
    lines.event(event("", None, "a topsecret word"))
    assert shown(capsys.readouterr().err) == ["db  failed: cannot log in with ***", "a *** word"]


def test_what_a_build_prints_and_what_is_waited_for_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Mask())
    for detail in ("building envctl/a:1", "building envctl/a:1: #5 RUN pip", "built envctl/a:1"):
        lines.event(event("orders", Phase.PREPARING, detail))
    lines.event(event("orders", Phase.PENDING, "waits for db"))
    assert shown(capsys.readouterr().err) == ["orders  building envctl/a:1", "orders  built envctl/a:1"]


# The table


def test_a_table_has_a_line_for_each_service(terminal: Terminal) -> None:
    with redirect_stderr(terminal):
        table = Table(hiding("topsecret"))
        table.begin(PLAN)
        table.event(event("db", Phase.FAILED, "cannot log in with topsecret"))
        table.event(event("orders", Phase.SEEDED))
        table.event(event("", None, "a topsecret word"))
        table.end()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "a *** word" in text
    last = [line.split() for line in text.splitlines() if line.strip()][-3:]
    assert last[0] == ["t", "on", "docker"]
    assert last[1][:3] == ["✗", "db", "failed"]
    assert last[1][-5:] == ["cannot", "log", "in", "with", "***"]
    assert last[2][:3] == ["✓", "orders", "ready"]
    assert "topsecret" not in text


def test_the_first_frame_stands_before_a_notice_can_come(terminal: Terminal) -> None:
    """A frame that another thread drew at the same moment once stayed above the notice, as a second table."""
    with redirect_stderr(terminal):
        table = Table(Mask())
        table.begin(PLAN)
        drawn = terminal.getvalue()
        table.end()
    assert "orders" in drawn


def test_a_long_message_takes_no_room_from_the_others(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with redirect_stderr(terminal):
        table = Table(Mask())
        table.begin(PLAN)
        table.event(event("db", Phase.PREPARING, "building envctl/db:0123456789abcdef: #12 " + "x" * 200))
        table.event(event("orders", Phase.PENDING, "waits for db"))
        table.end()
    *_, first, second = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).rstrip().splitlines()
    assert len(first.rstrip()) <= 80
    assert re.search(r" building: x+…$", first.rstrip())
    assert re.fullmatch(r"·  orders  pending    +\d+\.\d s  waits for db", second.strip())


def test_a_notice_is_told_once(terminal: Terminal) -> None:
    with redirect_stderr(terminal):
        table = Table(Mask())
        table.begin(PLAN)
        for _ in range(2):
            table.event(event("", None, "db: PostgreSQL 18 (installed here) instead of 17"))
        table.end()
    assert terminal.getvalue().count("installed here") == 1


@pytest.mark.parametrize("phase", Phase)
def test_a_table_shows_every_phase(terminal: Terminal, phase: Phase) -> None:
    with redirect_stderr(terminal):
        table = Table(Mask())
        for _ in range(2):  # the second round is a second attempt
            table.begin(PLAN)
            table.event(event("db", phase))
        table.end()
        table.end()
    assert phase.value in terminal.getvalue()


def test_nothing_is_shown_before_there_is_a_plan(terminal: Terminal) -> None:
    """An error in the command line is not preceded by a table."""
    with redirect_stderr(terminal):
        Table(Mask()).end()
    assert terminal.getvalue() == ""


def test_marks_are_for_phases_that_end_something() -> None:
    assert set(progress.LAST) < progress.MARKS.keys()
