"""Mailpit's password file: lines of `NAME:{SSHA}HASH`, the one of its notations that the kind writes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

Passwords = Mapping[bytes, bytes]
"""Name to SHA-1 and the salt after it."""

_MARK = b"{SSHA}"
_DIGEST = 20


def read_passwords(path: str) -> Passwords:
    """Who may log in.

    Raises:
        OSError: the file cannot be read.
        ValueError: a password is written in another notation.
    """
    lines = [line.partition(b":") for line in Path(path).read_bytes().split()]
    if not all(value.startswith(_MARK) for _, _, value in lines):
        raise ValueError(f"{path}: expected lines of NAME:{{SSHA}}HASH")
    return {name: base64.b64decode(value.removeprefix(_MARK)) for name, _, value in lines}


def matches(passwords: Passwords, name: bytes, password: bytes) -> bool:
    """Whether that is the password of *name*."""
    known = passwords.get(name, b"")
    return hmac.compare_digest(hashlib.sha1(password + known[_DIGEST:]).digest(), known[:_DIGEST])
