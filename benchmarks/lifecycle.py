"""What the rows do with either side: bring it up, take it away, and leave nothing however they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.programs import ENVCTL, Failed, run


class Side(Protocol):
    """An environment as one of the two sides has it."""

    def up(self) -> float: ...

    def down(self) -> Any: ...


S = TypeVar("S", bound=Side)


def all_down(env: Mapping[str, str]) -> None:
    """Of the state folder of *env* alone, whatever checkout they are of: `list --all` names others of this user, too."""
    for record in Path(env["XDG_STATE_HOME"], "envctl").glob("*/instance.json"):
        run([ENVCTL, "down", record.parent.name], env)


@contextmanager
def gone(side: S) -> Iterator[S]:
    """Nothing of it is left, however the row ends."""
    try:
        yield side
    finally:
        with suppress(Failed):
            side.down()


def upping(side: Side) -> Callable[[], float]:
    """Measures seconds of `up`; it is down again afterwards."""

    def measure() -> float:
        took = side.up()
        side.down()
        return took

    return measure
