"""What is in a server's data now, so that two looks can be compared: one module a driver of `envctl.units`, imported when it is used.

Each has `contents(properties, unit)`; *unit* is empty where the server as a whole is the unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

Contents = Mapping[str, Mapping[str, str]]
"""A thing that holds something (a table, a mailbox, a bucket) to its items (a row's key, a message's id), each with a fingerprint."""
MOST = 20_000
"""Items of one thing that are looked at singly; of more than that only their number and their sum are compared."""
WHOLE = "*"
"""The item that stands for all of them, then."""
ITSELF = "(tables)"
"""The thing whose items are a database's tables themselves, with their columns: one that a test makes is left behind, too."""


def contents_of(driver: str, properties: Mapping[str, Any], unit: str) -> Contents | None:
    """None where nobody knows how to look into such a server.

    Raises:
        EnvctlError: the server does not answer.
    """
    name = f"envctl.watched_data.{driver}"
    if find_spec(name) is None:
        return None
    found: Contents = import_module(name).contents(properties, unit)
    return found


def fingerprint(value: object) -> str:
    """Of anything whose text says what it is."""
    content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
