"""What the command line wants changed of an environment, for all transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Selection:
    """What the command line says about services."""

    only: Sequence[str] = ()
    stub: Sequence[str] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
