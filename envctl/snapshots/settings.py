"""The maximum size of all snapshots: `[snapshots]` in envctl.toml, or ENVCTL_SNAPSHOTS_MAX_SIZE."""

from __future__ import annotations

from dataclasses import dataclass, field

from envctl.definition.amounts import parse_size
from envctl.errors import UsageError
from envctl.session import Session

SIZE = "ENVCTL_SNAPSHOTS_MAX_SIZE"
DEFAULT = "10G"


@dataclass(frozen=True)
class Table:
    """The keys of `[snapshots]`."""

    max_size: str = field(default="", metadata={"example": 'max_size = "5G"'})


def max_size(session: Session) -> int:
    """Return the maximum size of all snapshots in bytes.

    Raises:
        UsageError: the value is not a size.
        DefinitionError: the table in envctl.toml has an unknown key.
    """
    text = session.environ.get(SIZE) or session.settings.table("snapshots", Table).get("max_size") or DEFAULT
    try:
        return parse_size(text)
    except ValueError:
        raise UsageError(
            f"max_size {text}: not a size", hint="write it like 5G or 800M, in `[snapshots]` of envctl.toml or in " + SIZE
        ) from None
