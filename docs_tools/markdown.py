"""The few forms that generated pages are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the rows' own bars and line ends in the way."""
    lines = [list(heads), ["---"] * len(heads), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(value: Any) -> str:
    """A value as it would stand in a definition."""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def sentence(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."
