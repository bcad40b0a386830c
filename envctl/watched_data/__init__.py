"""The content of a server's data at one moment, to be compared with that of another moment. Drivers of `envctl.units` have modules here.

Each module has `contents(properties, unit)` and is imported when it is used; *unit* is empty if the whole server is the unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

Contents = Mapping[str, Mapping[str, str]]
"""Collections (a table, a mailbox, a bucket), each with its items (a row by its key, a message by its id) and their fingerprints."""
MOST = 20_000
"""The maximum number of items that are compared one by one. Of a larger collection, only the number and a checksum are compared."""
WHOLE = "*"
"""The name of the item that stands for all items of a collection with more than `MOST`."""
ITSELF = "(tables)"
"""The collection whose items are a database's tables with their columns: a table that a test creates is left behind, too."""


def contents_of(driver: str, properties: Mapping[str, Any], unit: str) -> Contents | None:
    """Return the contents of *unit*; None if there is no module for this driver.

    Raises:
        EnvctlError: the server does not answer.
    """
    name = f"envctl.watched_data.{driver}"
    if find_spec(name) is None:
        return None
    found: Contents = import_module(name).contents(properties, unit)
    return found


def fingerprint(value: object) -> str:
    """Return a fingerprint of *value*, which must be bytes or have a `repr` that describes it completely: 16 hexadecimal digits."""
    content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
