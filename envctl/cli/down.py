"""Run `down NAME` without the command-line parser: importing the parser takes longer than removing a database."""

from __future__ import annotations

from collections.abc import Sequence

from envctl.inspect.lookup import what_there_is
from envctl.lifecycle.down import Removed, remove_named
from envctl.process.terminal import tell
from envctl.session import Session


def down_named(session: Session, name: str, wait: bool = True) -> int:
    """Remove the instance *name*, print the result, and return the exit code. An instance without a record is found by its label."""
    if removed := remove_named(session, name, wait):
        return tell_removed(removed)
    tell(f"nothing named '{name}' is up in this checkout", f"  {what_there_is(session, name)}")
    return 0


def tell_removed(removed: Sequence[Removed], nothing: str = "") -> int:
    """Print which instances were removed, and what is left of the others. Return the exit code: 1 if something is left, otherwise 0.

    Args:
        removed: the results of the removals.
        nothing: the text to print if *removed* is empty.
    """
    if not removed and nothing:
        tell(nothing)
    for each in removed:
        why = f" ({each.why})" if each.why else ""
        gone = f"removal of {each.name} ({each.id}) was requested" if each.asked else f"{each.name} is gone"
        tell(f"{gone}{why}" if not each.left else f"{each.name}: left behind: {', '.join(each.left)} (its id is {each.id})")
    return 1 if any(each.left for each in removed) else 0
