"""bcrypt, as small as it can be: for passwords that NATS would otherwise take for hashes (they begin with `$2`).

Niels Provos and David Mazières, "A Future-Adaptable Password Scheme" (1999). Blowfish's tables are the digits of pi.
"""

from __future__ import annotations

import struct
from functools import cache

_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_COST = 4  # the least there is: the secret stands in the same environment anyway
_WORDS = 18 + 4 * 256


def _arctan_of_inverse(number: int, unit: int) -> int:
    total = term = unit // number
    divisor, sign = 3, -1
    while term := term // (number * number):
        total += sign * (term // divisor)
        divisor, sign = divisor + 2, -sign
    return total


@cache
def _digits_of_pi() -> tuple[int, ...]:
    """The fraction of pi in words of 32 bits, by Machin's formula."""
    bits = 32 * _WORDS
    unit = 1 << (bits + 64)
    pi = 4 * (4 * _arctan_of_inverse(5, unit) - _arctan_of_inverse(239, unit)) >> 64
    fraction = pi & ((1 << bits) - 1)
    return struct.unpack(f">{_WORDS}I", fraction.to_bytes(bits // 8, "big"))


class _Blowfish:
    def __init__(self) -> None:
        words = _digits_of_pi()
        self._keys = list(words[:18])
        self._boxes = list(words[18:])

    def encrypt(self, left: int, right: int) -> tuple[int, int]:
        keys, boxes = self._keys, self._boxes
        for key in keys[:16]:
            left ^= key
            mixed = (boxes[left >> 24] + boxes[256 + (left >> 16 & 255)]) & 0xFFFFFFFF
            mixed = ((mixed ^ boxes[512 + (left >> 8 & 255)]) + boxes[768 + (left & 255)]) & 0xFFFFFFFF
            left, right = right ^ mixed, left
        return right ^ keys[17], left ^ keys[16]

    def expand(self, key: bytes, salt: bytes = bytes(16)) -> None:
        cycled = (key * (72 // len(key) + 1))[:72]
        self._keys = [one ^ other for one, other in zip(self._keys, struct.unpack(">18I", cycled), strict=True)]
        halves = struct.unpack(">4I", salt)
        left = right = position = 0
        for table in (self._keys, self._boxes):
            for index in range(0, len(table), 2):
                left, right = self.encrypt(left ^ halves[position], right ^ halves[position + 1])
                table[index : index + 2] = left, right
                position ^= 2


def _encoded(data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 6)
    return "".join(_ALPHABET[int(bits[start : start + 6], 2)] for start in range(0, len(bits), 6))


def hashed(password: bytes, salt: bytes) -> str:
    """The hash `$2a$04$...` of *password* (its first 72 bytes, as everywhere) with a salt of 16 bytes."""
    key = (password + b"\0")[:72]
    cipher = _Blowfish()
    cipher.expand(key, salt)
    for _ in range(1 << _COST):
        cipher.expand(key)
        cipher.expand(salt)
    words = list(struct.unpack(">6I", b"OrpheanBeholderScryDoubt"))
    for start in (0, 2, 4):
        for _ in range(64):
            words[start], words[start + 1] = cipher.encrypt(words[start], words[start + 1])
    return f"$2a${_COST:02d}${_encoded(salt)}{_encoded(struct.pack('>6I', *words)[:23])}"
