"""Log: a line of the service's log matches the regular expression `log`."""

from __future__ import annotations

import re

from envctl.definition.patterns import BadPattern, compiled
from envctl.engines.logs import whole_lines
from envctl.readiness import NotReady, Target

_AGAIN = re.compile(rb"(?:\x1b\[(?:[12]K|[01]?G|[0-9;]*[EFH])|\r(?!\n))+")
"""Matches the control sequences that rewrite a line of a terminal. `ESC [K` alone is left out: grep writes it with every colour."""
_CONTROL = re.compile(
    rb"(?:\x1b\[|\xc2\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Z]|\x1b[=->@-Z\\^_]|[\0\f]|\xef\xbb\xbf"
)
"""Matches all other control sequences (colours, cursor movements, titles) and invisible characters."""
_UNSEEN = re.compile(rb"[\x1b\r\0\f]|\xc2\x9b|\xef\xbb\xbf")


def _seen(block: bytes) -> bytes:
    """Return the lines as a terminal shows them: without colours, and split where a carriage return starts the line again."""
    if not _UNSEEN.search(block):
        return block
    return _CONTROL.sub(b"", _AGAIN.sub(b"\n", block)).replace(b"\r\n", b"\n")


def probe(target: Target) -> None:
    """Raise NotReady if no line matches, or if the regular expression is not valid."""
    pattern = str(target.options["log"])
    try:
        wanted = compiled(pattern)
    except BadPattern as error:
        raise NotReady(f"'{pattern}' is not a valid regular expression here: {error}") from error
    if not any(wanted.search(_seen(block)) for block in whole_lines(target.logs())):
        raise NotReady(f"no log line matches '{pattern}' yet")
