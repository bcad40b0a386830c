"""Report instances that another machine brought up from a checkout at the same path.

Commands about all instances of a checkout print these instances, but do not change them.
"""

from __future__ import annotations

from envctl.inspect.list import of_others
from envctl.process.terminal import tell
from envctl.session import Session


def tell_others(session: Session) -> bool:
    """Print the instances of other machines to stderr. Return whether the configured cluster, if any, could be searched."""
    unseen: list[str] = []
    for each in of_others(session, unseen.append):
        tell(f"{each.name} ({each.id}) was brought up by another machine: its id works here, too")
    for why in unseen:
        tell(f"envctl: {session.mask(why)}")
    return not unseen
