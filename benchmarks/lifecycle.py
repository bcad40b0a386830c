"""Operations of the rows on either side: bring it up, remove it, and clean up however the row ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.programs import ENVCTL, Failed, run


class Side(Protocol):
    """An environment as one of the two sides runs it."""

    def up(self) -> float: ...

    def down(self) -> Any: ...


S = TypeVar("S", bound=Side)


def all_down(env: Mapping[str, str]) -> None:
    """Remove all instances in the state folder of *env*. `list --all` would also include other instances of this user."""
    for record in Path(env["XDG_STATE_HOME"], "envctl").glob("*/instance.json"):
        run([ENVCTL, "down", record.parent.name], env)


@contextmanager
def gone(side: S) -> Iterator[S]:
    """Remove the side at the end, however the row ends."""
    try:
        yield side
    finally:
        with suppress(Failed):
            side.down()


def upping(side: Side) -> Callable[[], float]:
    """Return a function that measures the seconds of `up`, and removes the side afterwards."""

    def measure() -> float:
        took = side.up()
        side.down()
        return took

    return measure
