"""`cypress.env.json`, for `Cypress.env("NAME")`. As with environment variables, the prefix of CYPRESS_NAME is removed."""

from __future__ import annotations

from collections.abc import Mapping

from envctl.outputs import json


def text(values: Mapping[str, str]) -> str:
    """Return *values* as one JSON object."""
    # A name without the prefix wins over a name that only becomes the same without it.
    bare = {key.removeprefix("CYPRESS_"): value for key, value in values.items()}
    return json.text(bare | {key: value for key, value in values.items() if key in bare})
