"""Draw run.svg, the table that `envctl run shop` shows, from recorded states; the result is the same on each run.

Run it with `python -m docs_tools.picture`. The times are those of one run on two cores; `envctl.cli.progress.Table` draws the table.
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from envctl.cli.progress import Table
from envctl.lifecycle.events import Event, Phase
from envctl.session.session import Mask

FILE = Path(__file__).resolve().parent.parent / "docs" / "run.svg"
COMMAND = "envctl run shop -- pytest environments/shop/tests"
HALFWAY = 2.7
"""The time in seconds of the first of the two moments that the picture shows."""
MOMENTS = {
    "db": (Phase.SEEDING, "command python -m shop.migrate", None, 3.6),
    "events": (Phase.SEEDED, "", 0.8, 0.8),
    "mail": (Phase.WAITING, "", None, 3.2),
    "payments": (Phase.SEEDED, "", 1.5, 1.5),
    "notifications": (Phase.PENDING, "", None, 4.1),
    "orders": (Phase.PENDING, "", None, 4.6),
    "web": (Phase.PENDING, "", None, 4.7),
}
"""By service: its phase halfway, its step at that time, the second in which it was done (None if later), and the final such second."""
TESTS = ("...................................................                      [100%]", "51 passed in 8.40s")


class Recorded(Table):
    """The table at a fixed moment instead of the current time."""

    def __init__(self, at: float, events: list[Event], done: dict[str, float]) -> None:
        super().__init__(Mask())
        self._events, self._began = {event.service: event for event in events}, 0.0
        self._title, self._unseeded = "shop on docker", set(self._events) - {"db"}
        self._done_at = {name: done.get(name, at) for name in self._events}

    def drawn(self) -> RenderableType:
        return self._render()


def halfway() -> RenderableType:
    events = [Event(0.0, name, phase, detail) for name, (phase, detail, _, _) in MOMENTS.items()]
    return Recorded(HALFWAY, events, {name: at for name, (_, _, at, _) in MOMENTS.items() if at is not None}).drawn()


def finished() -> RenderableType:
    events = [Event(0.0, name, Phase.SEEDED) for name in MOMENTS]
    return Recorded(0.0, events, {name: at for name, (_, _, _, at) in MOMENTS.items()}).drawn()


def picture() -> str:
    """Return the drawing as SVG; a constant clock keeps the spinners still."""
    console = Console(
        record=True, width=88, file=io.StringIO(), force_terminal=True, color_system="truecolor", get_time=lambda: 0.0, highlight=False
    )
    console.print(Text.assemble(("$ ", "dim"), COMMAND))
    for part in (halfway(), Text(f"  ... {HALFWAY} s so far; two seconds later:", "dim"), finished(), *map(Text, TESTS)):
        console.print(part)
    console.print(Text.assemble(("$ ", "dim"), "envctl list"))
    console.print("nothing is up in this checkout")
    return console.export_svg(title="envctl", unique_id="envctl-run")


def main() -> None:
    FILE.write_text(picture(), "utf-8")


if __name__ == "__main__":
    main()
