"""What `doctor` finds; each engine's `doctor.py` has a `findings(host)` that yields them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    area: str
    ok: bool
    text: str
    advice: str = ""
    needed: bool = False
    """The engine of this area does not work without it."""
