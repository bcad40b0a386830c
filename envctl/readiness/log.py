"""A line of the service's log matches the regular expression `log`."""

from __future__ import annotations

import re

from envctl.definition.patterns import BadPattern, compiled
from envctl.engines.logs import whole_lines
from envctl.readiness import NotReady, Target

_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]")
"""What colours a terminal, moves its cursor or sets its title."""


def _seen(block: bytes) -> bytes:
    """Lines as people see them: without colours, and with none that a carriage return ends or overwrites."""
    if b"\x1b" in block:
        block = _CONTROL.sub(b"", block)
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block


def probe(target: Target) -> None:
    """Raises NotReady as long as no line matches, and for an expression that is none."""
    pattern = str(target.options["log"])
    try:
        wanted = compiled(pattern)
    except BadPattern as error:
        raise NotReady(f"'{pattern}' is not a valid regular expression here: {error}") from error
    if not any(wanted.search(_seen(block)) for block in whole_lines(target.logs())):
        raise NotReady(f"no log line matches '{pattern}' yet")
