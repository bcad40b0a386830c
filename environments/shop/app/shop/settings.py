"""Configuration, which comes only from environment variables."""

from __future__ import annotations

import os


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"the environment variable {name} is not set")
    return value
