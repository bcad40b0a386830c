"""Who an instance is: its id, made of its name and of a key that says whose it is."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from pathlib import Path

from envctl.instance.machine import machine_id

ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{6}")
"""What `instance_id` gives."""


def instance_id(name: str, project: Path, key: str = "") -> str:
    """The name, fit for Compose and Kubernetes, and six digits of *key*; without one, of project folder, user and machine."""
    whose = key or "\0".join((os.path.realpath(project), user_name(), machine_id()))
    digits = hashlib.sha256(whose.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}-{digits}"


def user_name() -> str:
    """The user's; the number where nobody knows a name (a container with a foreign uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def user_key(folder: Path) -> str:
    """What tells this user of this machine from others, and names neither; who has another *folder* for the same is another one, too."""
    return hashlib.sha256("\0".join((user_name(), machine_id(), str(folder))).encode()).hexdigest()[:16]
