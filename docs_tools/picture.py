"""Draws run.svg: what the table of `envctl run shop` shows, from states that were recorded; the same bytes each time.

`python -m docs_tools.picture`. The times are those of one run on two cores; the drawing is `envctl.cli.progress.Table`'s own.
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
"""Seconds: the first of the two moments that the picture shows."""
MOMENTS = {
    "db": (Phase.SEEDING, "command python -m shop.migrate", None, 3.6),
    "events": (Phase.SEEDED, "", 0.8, 0.8),
    "mail": (Phase.WAITING, "", None, 3.2),
    "payments": (Phase.SEEDED, "", 1.5, 1.5),
    "notifications": (Phase.PENDING, "", None, 4.1),
    "orders": (Phase.PENDING, "", None, 4.6),
    "web": (Phase.PENDING, "", None, 4.7),
}
"""Service to its phase halfway and what is being done, when it was done by then, and when it was done."""
TESTS = ("...................................................                      [100%]", "51 passed in 8.40s")


class Recorded(Table):
    """The table at a moment of its own, and not of the clock."""

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
    """The drawing as SVG; a clock that stands still keeps the spinners where they are."""
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
