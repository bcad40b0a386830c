"""MQTT 3.1.1: the broker accepts CONNECT with the credentials."""

from __future__ import annotations

import struct
import uuid

from envctl.readiness import LoginRefused, NotReady, Target, Wire

_REFUSALS = {
    1: "unacceptable protocol version",
    2: "identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}
_CREDENTIALS = (4, 5)


def _text(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def _length(size: int) -> bytes:
    """Return a packet's remaining length in its variable-length encoding."""
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(digits)


def _connect(user: str, password: str) -> bytes:
    clean_session, with_user, with_password = 0x02, 0x80, 0x40
    flags = clean_session | (with_user | with_password if user else 0)
    credentials = _text(user.encode()) + _text(password.encode()) if user else b""
    keep_alive = 10
    body = _text(b"MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive)
    # A random client id, because a broker ends the older of two connections with the same id.
    body += _text(f"envctl-{uuid.uuid4().hex[:12]}".encode()) + credentials
    return b"\x10" + _length(len(body)) + body


def probe(target: Target) -> None:
    """Raise NotReady with the reason of the broker's refusal, or OSError if there is no connection."""
    user, password = str(target.properties.get("username", "")), str(target.properties.get("password", ""))
    with Wire(target) as wire:
        wire.send(_connect(user, password))
        kind, _, _, code = wire.exactly(4)
        if kind != 0x20:
            raise NotReady("it speaks another protocol")
        if code:
            raise (LoginRefused if code in _CREDENTIALS else NotReady)(f"login refused: {_REFUSALS.get(code, code)}")
        disconnect = b"\xe0\0"
        wire.send(disconnect)
