"""A line of the service's log matches the regular expression `log`."""

from __future__ import annotations

from envctl.definition.patterns import BadPattern, compiled
from envctl.engines.logs import whole_lines
from envctl.readiness import NotReady, Target


def probe(target: Target) -> None:
    """Raises NotReady as long as no line matches, and for an expression that is none."""
    pattern = str(target.options["log"])
    try:
        wanted = compiled(pattern)
    except BadPattern as error:
        raise NotReady(f"'{pattern}' is not a valid regular expression here: {error}") from error
    if not any(wanted.search(block) for block in whole_lines(target.logs())):
        raise NotReady(f"no log line matches '{pattern}' yet")
