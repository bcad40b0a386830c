"""Who an instance is: its id, made of its name and of whoever brings it up."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from pathlib import Path

ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{6}")
"""What `instance_id` gives."""


def instance_id(name: str, project: Path) -> str:
    """The name, fit for Compose and Kubernetes, and six digits of project folder, user and host."""
    key = hashlib.sha256("\0".join((os.path.realpath(project), user_name(), socket.gethostname())).encode()).hexdigest()[:6]
    return f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}-{key}"


def user_name() -> str:
    """The user's; the number where nobody knows a name (a container with a foreign uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
