"""Make untrusted text safe to print on a terminal and in a CI log.

Printed text contains definitions, file names, variables and the output of containers. No such text may end a line (and start one that looks
like a message of envctl), move the cursor, reorder what is shown, or be a command to the CI runner that reads the output.
"""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters except the tab, line breaks, characters that change the writing direction, and characters without width."""
_COLOUR = re.compile("\x1b\\[[0-9;:]*m")
# GitHub's runner reads `::command` at the start of a line, after optional blanks, and the older `##[command]` anywhere. Azure reads
# `##vso[` and TeamCity reads `##teamcity[`.
_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#(?:\[|vso\[|teamcity\[))")


def harmless(text: str) -> str:
    """Return *text* as one line: invisible characters become Python escapes, and a blank is inserted into workflow commands."""
    escaped = _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _COMMAND.sub(lambda found: f"{found[0]} ", escaped)


def without_colours(text: str) -> str:
    """Return a line of a log without its colour codes."""
    return _COLOUR.sub("", text)
