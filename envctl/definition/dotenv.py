"""`env_file:` -> variables, as python-dotenv reads them; `$` stays, as only the definition is templated."""

from __future__ import annotations

from io import StringIO


def parse_dotenv(text: str) -> dict[str, str]:
    """Name to value; names without a value are left out."""
    from dotenv import dotenv_values

    return {key: value for key, value in dotenv_values(stream=StringIO(text), interpolate=False).items() if value is not None}
