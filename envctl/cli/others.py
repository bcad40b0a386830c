"""What another machine has brought up from a checkout of this path: commands about all of a checkout say so, and touch nothing of it."""

from __future__ import annotations

from envctl.inspect.list import of_others
from envctl.process.terminal import tell
from envctl.session import Session


def tell_others(session: Session) -> bool:
    """Names them on stderr; whether somebody could look."""
    unseen: list[str] = []
    for each in of_others(session, unseen.append):
        tell(f"{each.name} ({each.id}) was brought up by another machine: its id works here, too")
    for why in unseen:
        tell(f"envctl: {session.mask(why)}")
    return not unseen
