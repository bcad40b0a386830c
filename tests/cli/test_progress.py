from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import replace

import pytest

from envctl.cli import failure, progress
from envctl.cli.progress import Lines, Silent, Table, reporter
from envctl.lifecycle.service_states import STATES, Row
from tests.builders import plan_with, service, step_of

PLAN = plan_with(service("db", steps=(step_of("db"),)), service("orders"))


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Iterator[None]:
    failure._hidden.clear()
    yield
    failure._hidden.clear()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """For `redirect_stderr`: pytest puts its own stderr in place between a fixture and its test."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def shown(text: str) -> list[str]:
    """Lines without their times."""
    return [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in text.splitlines()]


# Which one


def test_a_terminal_has_a_table(terminal: Terminal) -> None:
    with redirect_stderr(terminal):
        assert isinstance(reporter(), Table)


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_terminal_that_cannot_move_has_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with redirect_stderr(terminal):
        assert isinstance(reporter(), Lines)


def test_what_is_no_terminal_has_lines() -> None:
    assert isinstance(reporter(), Lines)


def test_nothing_is_said_where_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    found = reporter(quiet=True)
    assert isinstance(found, Silent)
    found.begin(PLAN)
    found.row("db", Row("starting"))
    found.say("x")
    found.end()
    assert capsys.readouterr() == ("", "")


# Lines


def test_one_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin(PLAN)
    for service_name, row in [
        ("db", Row("pending", "pulling x:1: 50 % of a layer")),
        ("db", Row("pending", "pulling x:1: 50 % of a layer")),
        ("db", Row("starting", "starting")),
        ("db", Row("starting", "waiting until it is ready")),
        ("db", Row("ready")),
        ("db", Row("ready", "seeding: sql x")),
        ("orders", Row("seeded")),
        ("db", Row("seeded")),
        ("db", Row("failed", "it ended with 1")),
    ]:
        lines.row(service_name, row)
    lines.say("bye")
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
    Lines().begin(plan_with(service("db")))
    assert shown(capsys.readouterr().err) == ["t: 1 service on docker (t-123456)"]


def test_lines_hold_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    failure.hide(["topsecret"])
    Lines().row("db", Row("failed", "cannot log in with topsecret"))
    assert shown(capsys.readouterr().err) == ["db  failed: cannot log in with ***"]


@pytest.mark.parametrize("kind", [Silent, Lines, Table])
def test_whoever_knows_the_plan_knows_its_secrets(terminal: Terminal, kind: type[Silent] | type[Lines] | type[Table]) -> None:
    """From then on nothing that is printed holds one, be it the log of a service that failed."""
    with redirect_stderr(terminal):
        found = kind()
        found.begin(replace(PLAN, secrets=frozenset(["topsecret"])))
        found.end()
    assert failure.masked("the topsecret word") == "the *** word"


# The table


def test_a_table_has_a_line_for_each_service(terminal: Terminal) -> None:
    failure.hide(["topsecret"])
    with redirect_stderr(terminal):
        table = Table()
        table.begin(PLAN)
        table.row("db", Row("failed", "cannot log in with topsecret"))
        table.row("orders", Row("seeded"))
        table.say("a topsecret word")
        table.end()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "a *** word" in text
    last = [line.split() for line in text.splitlines() if line.strip()][-3:]
    assert last[0] == ["t", "on", "docker"]
    assert last[1][:3] == ["✗", "db", "failed"]
    assert last[1][-5:] == ["cannot", "log", "in", "with", "***"]
    assert last[2][:3] == ["✓", "orders", "ready"]
    assert "topsecret" not in text


@pytest.mark.parametrize("state", ["pending", "starting", "ready", "seeded", "done", "failed", "stopped"])
def test_a_table_shows_every_state(terminal: Terminal, state: str) -> None:
    with redirect_stderr(terminal):
        table = Table()
        for _ in range(2):  # another try starts over
            table.begin(PLAN)
            table.row("db", Row(state))
        table.end()
        table.end()
    assert state in terminal.getvalue()


def test_marks_are_for_states_that_exist() -> None:
    assert progress.MARKS.keys() <= set(STATES)
