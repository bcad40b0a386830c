"""The id of an instance, made of its name and a key that identifies its owner."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from pathlib import Path

from envctl.instance.machine import machine_id

ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{6}")
"""The pattern of ids that `instance_id` returns."""


def instance_id(name: str, project: Path, key: str = "") -> str:
    """Return the id of an instance: its name, converted for Compose and Kubernetes, and six hexadecimal digits.

    The digits are a hash of *key*, or, if *key* is empty, of the project's folder, the user and the machine.
    """
    whose = key or "\0".join((os.path.realpath(project), user_name(), machine_id()))
    digits = hashlib.sha256(whose.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}-{digits}"


def user_name() -> str:
    """Return the name of the user, or the number of the user if there is no name (in a container with a foreign uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def user_key(folder: Path) -> str:
    """Return a hash that identifies this user on this machine without revealing the names; another *folder* gives another hash."""
    return hashlib.sha256("\0".join((user_name(), machine_id(), str(folder))).encode()).hexdigest()[:16]
