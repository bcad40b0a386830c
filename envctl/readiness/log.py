"""A line of the service's log matches the regular expression `log`."""

from __future__ import annotations

import re

from envctl.readiness import NotReady, Target


def probe(target: Target) -> None:
    """Raises NotReady as long as no line matches, and for an expression that is none."""
    pattern = str(target.options["log"])
    try:
        found = re.search(pattern, target.logs(), re.MULTILINE)
    except re.error as error:
        raise NotReady(f"'{pattern}' is no regular expression: {error}") from error
    if not found:
        raise NotReady(f"no log line matches '{pattern}' yet")
