"""Passwords as scrypt hashes, `n$r$p$salt$hash`; the parameters are stored so that the cost can be raised later."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os

N, R, P = 2**14, 8, 1


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r)


def _hash(password: str) -> str:
    salt = os.urandom(16)
    return f"{N}${R}${P}${salt.hex()}${_scrypt(password, salt, N, R, P).hex()}"


def _matches(password: str, stored: str) -> bool:
    n, r, p, salt, expected = stored.split("$")
    actual = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(actual, bytes.fromhex(expected))


# In a thread: 50 ms of computation (which releases the GIL) would delay all other requests.
async def hash_password(password: str) -> str:
    return await asyncio.to_thread(_hash, password)


async def password_matches(password: str, stored: str) -> bool:
    return await asyncio.to_thread(_matches, password, stored)
