"""`cypress.env.json`, for `Cypress.env("NAME")`; as with variables of the environment, Cypress knows CYPRESS_NAME as NAME."""

from __future__ import annotations

from collections.abc import Mapping

from envctl.outputs import json


def text(values: Mapping[str, str]) -> str:
    # What is named without the prefix wins over what only becomes that name.
    bare = {key.removeprefix("CYPRESS_"): value for key, value in values.items()}
    return json.text(bare | {key: value for key, value in values.items() if key in bare})
