"""The data folders that ship with the package: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def templates(*parts: str) -> Path:
    """Return the path of a folder or file below `templates/`."""
    inside = _PACKAGE / "_templates"
    return (inside if inside.is_dir() else _PACKAGE.parent / "templates").joinpath(*parts)
