"""Kafka: the broker answers ApiVersions, and its metadata names a controller and itself."""

from __future__ import annotations

import struct

from envctl.readiness import NotReady, Target, Wire

_METADATA, _API_VERSIONS = 3, 18
# The oldest version that Kafka 4 accepts, and the last one before the encoding changed.
_METADATA_VERSION = 4
_LONGEST = 1 << 20


def _ask(wire: Wire, api: int, version: int, body: bytes = b"") -> bytes:
    """Return the body of the answer, without its size and correlation id."""
    client = b"envctl"
    header = struct.pack(">hhih", api, version, 1, len(client)) + client
    wire.send(struct.pack(">i", len(header + body)) + header + body)
    (size,) = struct.unpack(">i", wire.exactly(4))
    if not 4 <= size <= _LONGEST:
        raise NotReady("it speaks another protocol")
    return wire.exactly(size)[4:]


def _check_metadata(answer: bytes) -> None:
    """Raise NotReady if the metadata (throttle time, brokers (id, host, port, rack), cluster id, controller id) has no controller."""
    _, brokers = struct.unpack_from(">ii", answer)
    position = 8
    for _ in range(brokers):
        position = _after_text(answer, position + 4) + 4
        position = _after_text(answer, position)
    (controller,) = struct.unpack_from(">i", answer, _after_text(answer, position))
    if brokers < 1 or controller < 0:
        raise NotReady("the broker knows no controller yet")


def _after_text(data: bytes, position: int) -> int:
    length: int = struct.unpack_from(">h", data, position)[0]
    return position + 2 + max(length, 0)


def probe(target: Target) -> None:
    """Raise NotReady if the broker is not part of its cluster yet, or OSError if there is no connection."""
    with Wire(target) as wire:
        try:
            (refusal,) = struct.unpack_from(">h", _ask(wire, _API_VERSIONS, 0))
            if refusal:
                raise NotReady(f"ApiVersions answered error {refusal}")
            no_topics_and_create_none = struct.pack(">i?", 0, False)
            _check_metadata(_ask(wire, _METADATA, _METADATA_VERSION, no_topics_and_create_none))
        except struct.error as error:
            raise NotReady("its answer is too short for Kafka") from error
