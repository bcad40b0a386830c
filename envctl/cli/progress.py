"""Progress on stderr: a live table on a terminal, one line per change elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from envctl.cli.failure import hide, masked
from envctl.lifecycle.request import Reporter
from envctl.lifecycle.service_states import Row
from envctl.plan.model import Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

MARKS = {"seeded": ("green", "✓"), "done": ("green", "✓"), "ready": ("green", "•"), "failed": ("red", "✗"), "pending": ("dim", "·")}


def reporter(quiet: bool = False) -> Reporter:
    """The one that fits where stderr goes."""
    if quiet:
        return Silent()
    return Table() if sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb" else Lines()


class Silent:
    def begin(self, plan: Plan) -> None:
        hide(plan.secrets)

    def row(self, service: str, row: Row) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self) -> None: ...


class Lines:
    """`  1.24 s  db  ready`: one line per change of state, and of what is being done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last: dict[str, str] = {}
        self._unseeded: set[str] = set()
        self._lock = threading.Lock()
        self._width = 0

    def begin(self, plan: Plan) -> None:
        hide(plan.secrets)
        self._width = max((len(name) for name in plan.services), default=0)
        self._unseeded = unseeded(plan)
        count = len(plan.services)
        self.say(f"{plan.setting.name}: {count} service{'s' if count != 1 else ''} on {plan.setting.engine.name} ({plan.setting.id})")

    def row(self, service: str, row: Row) -> None:
        waiting = row.state == "starting" and row.detail.startswith("waiting")
        state = "ready" if row.state == "seeded" and service in self._unseeded else row.state
        text = state if not row.detail or row.detail == row.state else row.detail
        text = f"failed: {row.detail}" if row.state == "failed" else text
        with self._lock:
            if waiting or self._last.get(service) == text:
                return
            self._last[service] = text
            self._print(f"{service:<{self._width}}  {text}")

    def say(self, text: str) -> None:
        with self._lock:
            self._print(text)

    def _print(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:7.2f} s  {masked(text)}", file=sys.stderr, flush=True)

    def end(self) -> None: ...


class Table:
    """A line for each service: a spinner while it works, its state, how long it took."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._began = time.monotonic()
        self._rows: dict[str, Row] = {}
        self._done_at: dict[str, float] = {}
        self._title = ""
        self._unseeded: set[str] = set()
        self._spinners: dict[str, Any] = {}
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=12, transient=False)

    def begin(self, plan: Plan) -> None:
        hide(plan.secrets)
        self._title = f"{plan.setting.name} on {plan.setting.engine.name}"
        self._unseeded = unseeded(plan)
        self._rows = {name: Row() for name in plan.services}
        if not self._live.is_started:
            self._live.start()

    def row(self, service: str, row: Row) -> None:
        self._rows[service] = row
        if row.state in ("seeded", "done", "failed"):
            self._done_at.setdefault(service, time.monotonic())

    def say(self, text: str) -> None:
        self._console.print(masked(text))

    def end(self) -> None:
        if self._live.is_started:
            self._live.stop()

    def _render(self) -> RenderableType:
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid.grid(padding=(0, 2))
        for _ in range(5):
            grid.add_column(no_wrap=True)
        for name, row in list(self._rows.items()):
            took = self._done_at.get(name, time.monotonic()) - self._began
            color = MARKS.get(row.state, ("cyan", ""))[0]
            detail = masked(row.detail) if row.detail != row.state else ""
            state = "ready" if row.state == "seeded" and name in self._unseeded else row.state
            grid.add_row(self._mark(name, row), name, Text(state, color), Text(f"{took:5.1f} s", "dim"), Text(detail[:100], "dim"))
        head = Grid.grid()
        head.add_row(Text(self._title, "bold"))
        head.add_row(grid)
        return head

    def _mark(self, name: str, row: Row) -> RenderableType:
        from rich.spinner import Spinner
        from rich.text import Text

        if row.state in MARKS:
            color, sign = MARKS[row.state]
            return Text(sign, color)
        spinner: RenderableType = self._spinners.setdefault(name, Spinner("dots", style="cyan"))
        return spinner


def unseeded(plan: Plan) -> set[str]:
    """For people, a service that has nothing to seed is ready, not seeded."""
    return {service.name for service in plan.services.values() if not service.steps}
