"""Render the few Markdown elements that generated pages consist of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars in cells are escaped, and line breaks become spaces."""
    lines = [list(heads), ["---"] * len(heads), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(value: Any) -> str:
    """Return a value as inline code, as it is written in a definition."""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def sentence(text: str) -> str:
    """Return the text with a full stop at its end; an empty text stays empty."""
    return text if not text or text.endswith(".") else f"{text}."
