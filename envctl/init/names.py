"""Names that the definition takes, made of whatever the project has."""

from __future__ import annotations

import re
from collections.abc import Collection

from envctl.definition.models import RESERVED

MAX_LENGTH = 40


def environment_name(text: str) -> str:
    """*text* as the name of an environment: letters, digits, - and _."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:MAX_LENGTH].rstrip("-_")
    return "app" if not name or name in RESERVED else name


def service_name(text: str, taken: Collection[str] = ()) -> str:
    """*text* as the name of a service, which is a host name as well; with a number where it is taken."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[: MAX_LENGTH - 3].rstrip("-") or "app"
    name = f"{name}-app" if name in RESERVED else name
    numbered = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(candidate for candidate in numbered if candidate not in taken)


def variable_name(text: str) -> str:
    """*text* as the name of a variable of the environment: `STRIPE_API_URL` for `stripe-api` and `URL`."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").upper()
    return f"_{name}" if name[:1].isdigit() else name
