"""What to tell a client whose request no mapping matches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from operator import eq

from ..http.message import Request
from .mappings import Mapping
from .patterns import Check

_LONGEST = 300


def explain_mismatch(request: Request, mappings: Sequence[Mapping]) -> str:
    """The request, the mapping that comes closest, and where the two differ."""
    lines = [f"Request was not matched: {request.method} {request.url}", ""]
    if not mappings:
        return "\n".join([*lines, "There are no mappings in this stub.", ""])
    closest = min(mappings, key=lambda mapping: _distance(mapping, request))
    lines.append(f"Closest mapping: {_title(closest)}")
    lines += [_line(check, request) for check in closest.pattern.checks]
    return "\n".join([*lines, ""])


def _title(mapping: Mapping) -> str:
    return f"{mapping.name} ({mapping.origin})" if mapping.name and mapping.origin else mapping.label


def _line(check: Check, request: Request) -> str:
    expected = f"{check.matcher.operator} {check.matcher.expected}".rstrip()
    if check.passes(request):
        return f"  matches  {check.part}: {_shortened(expected)}"
    return f"  DIFFERS  {check.part}: expected {_shortened(expected)}, got {_shortened(_found(check, request))}"


def _distance(mapping: Mapping, request: Request) -> float:
    failed = (check for check in mapping.pattern.checks if not check.passes(request))
    return sum(check.weight * (1.1 - _likeness(check, request)) for check in failed)


def _likeness(check: Check, request: Request) -> float:
    """How much of the two texts is a beginning that both share, from 0 to 1."""
    expected, found = check.matcher.expected[:_LONGEST], _found(check, request)[:_LONGEST]
    shared = sum(1 for _ in takewhile(bool, map(eq, expected, found)))
    return shared / max(len(expected), len(found), 1)


def _found(check: Check, request: Request) -> str:
    values = [value for value in check.values(request) if value is not None]
    return ", ".join(values) if values else "nothing"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
