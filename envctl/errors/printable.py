"""Text of somebody else's, for a terminal and for the log of a CI: it can neither move the cursor nor give orders.

Definitions, file names, variables and the output of containers are in what we print. Nothing of it may end a line (and begin one
that looks like ours), reorder what is shown, or be a command to the runner that reads our output.
"""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters but for the tab, line breaks of every kind, what changes the direction of writing, what has no width."""
_COLOUR = re.compile("\x1b\\[[0-9;:]*m")
# GitHub's runner reads `::command` at the start of a line, blanks aside, and the older `##[command]` anywhere, as Azure's
# reads `##vso[` and TeamCity `##teamcity[`.
_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#(?:\[|vso\[|teamcity\[))")


def harmless(text: str) -> str:
    """*text* as one line: what cannot be seen is written as Python escapes it, and workflow commands have a blank in them."""
    escaped = _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _COMMAND.sub(lambda found: f"{found[0]} ", escaped)


def without_colours(text: str) -> str:
    """A line of a log without what only colours it."""
    return _COLOUR.sub("", text)
