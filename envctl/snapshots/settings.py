"""How much room snapshots may take: `[snapshots]` of envctl.toml, ENVCTL_SNAPSHOTS_MAX_SIZE."""

from __future__ import annotations

from dataclasses import dataclass, field

from envctl.definition.amounts import parse_size
from envctl.errors import UsageError
from envctl.session import Session

SIZE = "ENVCTL_SNAPSHOTS_MAX_SIZE"
DEFAULT = "10G"


@dataclass(frozen=True)
class Table:
    """The table's keys."""

    max_size: str = field(default="", metadata={"example": 'max_size = "5G"'})


def max_size(session: Session) -> int:
    """Bytes.

    Raises:
        UsageError: what says it is no size.
        DefinitionError: envctl.toml has another key there.
    """
    text = session.environ.get(SIZE) or session.settings.table("snapshots", Table).get("max_size") or DEFAULT
    try:
        return parse_size(text)
    except ValueError:
        raise UsageError(f"max_size {text}: not a size", hint="like 5G or 800M, in `[snapshots]` of envctl.toml or in " + SIZE) from None
