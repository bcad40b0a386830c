"""Show progress on stderr: a live table on a terminal, otherwise one line for each change."""

from __future__ import annotations

import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from envctl.errors.printable import harmless
from envctl.lifecycle.events import Event, Listener, Phase
from envctl.plan.model import Plan
from envctl.process.terminal import tell
from envctl.session import Session
from envctl.session.mask import Mask

if TYPE_CHECKING:
    from rich.console import RenderableType

MARKS = {
    Phase.SEEDED: ("green", "✓"), Phase.DONE: ("green", "✓"), Phase.READY: ("green", "•"), Phase.FAILED: ("red", "✗"),
    Phase.PENDING: ("dim", "·"),
}  # fmt: skip
LIVE = re.compile(r"building [^:]+(:[^: ]+)?: (#\d+ ([\d.]+ )?)?")
"""Matches the prefix of a line that a build prints. These lines are only shown on a terminal."""
LAST = (Phase.SEEDED, Phase.DONE, Phase.FAILED)


def listener(session: Session) -> Listener:
    """Return a listener that fits stderr: a table on an interactive terminal, otherwise lines."""
    live = sys.stderr.isatty() and not session.environ.get("CI") and session.environ.get("TERM") != "dumb"
    return Table(session.mask) if live else Lines(session.mask)


OTHERS = 1 + max(len(phase.value) for phase in Phase) + len("1234.5 s") + 5 * 2
"""The columns of the table that names and details cannot use, in characters."""


class Lines:
    """Print one line for each change of a service, such as `  1.24 s  db  ready`. A service that only waits prints nothing."""

    def __init__(self, mask: Mask) -> None:
        self._began = time.monotonic()
        self._mask = mask
        self._last: dict[str, str] = {}
        self._unseeded: set[str] = set()
        self._lock = threading.Lock()
        self._width = 0

    def begin(self, plan: Plan) -> None:
        self._width = max((len(name) for name in plan.services), default=0)
        self._unseeded = unseeded(plan)
        count, setting = len(plan.services), plan.setting
        with self._lock:
            self._print(f"{setting.name}: {count} service{'s' if count != 1 else ''} on {setting.engine.name} ({setting.id})")

    def event(self, event: Event) -> None:
        with self._lock:
            if not event.service:
                self._print(event.detail)
                return
            if LIVE.match(event.detail):
                return
            text = words(event, self._unseeded)
            if event.phase not in (Phase.WAITING, Phase.PENDING) and self._last.get(event.service) != text:
                self._last[event.service] = text
                self._print(f"{event.service:<{self._width}}  {text}")

    def _print(self, text: str) -> None:
        tell(f"{time.monotonic() - self._began:7.2f} s  {self._mask(text)}")

    def end(self) -> None: ...


class Table:
    """Show a live table with one row for each service: a spinner while the service is working, its state and the time."""

    def __init__(self, mask: Mask) -> None:
        from rich.console import Console
        from rich.live import Live

        self._began = time.monotonic()
        self._mask = mask
        self._events: dict[str, Event] = {}
        self._done_at: dict[str, float] = {}
        self._title = ""
        self._unseeded: set[str] = set()
        self._spinners: dict[str, Any] = {}
        self._notices: set[str] = set()
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=12, transient=False)

    def begin(self, plan: Plan) -> None:
        self._title = f"{plan.setting.name} on {plan.setting.engine.name}"
        self._unseeded = unseeded(plan)
        self._events = {name: Event(0.0, name, Phase.PENDING) for name in plan.services}
        if not self._live.is_started:
            # If Rich's thread draws the first frame while a notice is printed, Rich miscounts the lines of the frame.
            self._live.start(refresh=True)

    def event(self, event: Event) -> None:
        if not event.service:
            if event.detail not in self._notices:
                self._notices.add(event.detail)
                self._console.print(harmless(self._mask(event.detail)), markup=False, style="dim")
            return
        self._events[event.service] = event
        if event.phase in LAST:
            self._done_at.setdefault(event.service, time.monotonic())

    def end(self) -> None:
        if self._live.is_started:
            self._live.stop()

    def _render(self) -> RenderableType:
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid.grid(padding=(0, 2))
        for _ in range(5):
            grid.add_column(no_wrap=True)
        events = list(self._events.items())
        room = self._console.width - OTHERS - max((len(name) for name, _ in events), default=0)
        for name, event in events:
            took = self._done_at.get(name, time.monotonic()) - self._began
            phase = event.phase or Phase.PENDING
            color = MARKS.get(phase, ("cyan", ""))[0]
            state = "ready" if phase is Phase.SEEDED and name in self._unseeded else phase.value
            said = LIVE.sub("building: ", event.detail)  # The image's name would leave no room for the line.
            detail = Text(shortened(harmless(self._mask(said)), room), "dim")
            grid.add_row(self._mark(name, phase), name, Text(state, color), Text(f"{took:5.1f} s", "dim"), detail)
        head = Grid.grid()
        head.add_row(Text(self._title, "bold"))
        head.add_row(grid)
        return head

    def _mark(self, name: str, phase: Phase) -> RenderableType:
        from rich.spinner import Spinner
        from rich.text import Text

        if phase in MARKS:
            color, sign = MARKS[phase]
            return Text(sign, color)
        spinner: RenderableType = self._spinners.setdefault(name, Spinner("dots", style="cyan"))
        return spinner


def shortened(text: str, room: int) -> str:
    """Return *text* cut to *room* characters, so that a long detail takes no space from the other columns."""
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def words(event: Event, unseeded: set[str]) -> str:
    """Return a description of *event* for people."""
    phase = event.phase or Phase.PENDING
    if phase is Phase.SEEDED and event.service in unseeded:
        return Phase.READY.value
    if phase is Phase.PREPARING:
        return event.detail
    return f"{phase.value}: {event.detail}" if event.detail else phase.value


def unseeded(plan: Plan) -> set[str]:
    """Return the services without seed steps: their progress ends with the state `ready` instead of `seeded`."""
    return {service.name for service in plan.services.values() if not service.steps}
