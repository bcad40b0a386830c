"""Logs that arrive in pieces."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from envctl.engines.logs import LONGEST, ending, last, text, whole_lines

PIECES = st.lists(st.binary(max_size=8) | st.just(b"\n"))


@given(PIECES)
def test_whole_lines_are_the_same_bytes(pieces: list[bytes]) -> None:
    blocks = list(whole_lines(pieces))
    assert b"".join(blocks) == b"".join(pieces)
    assert all(block.endswith(b"\n") for block in blocks[:-1])


@given(PIECES, st.integers(0, 4))
def test_the_last_lines(pieces: list[bytes], count: int) -> None:
    whole = b"".join(pieces)
    lines = whole.splitlines(keepends=True)
    assert b"".join(last(pieces, count)) == b"".join(lines[-count:] if count else [])
    assert b"".join(last(pieces, None)) == whole


@given(PIECES, st.integers(1, 9))
def test_an_ending_says_how_much_is_before_it(pieces: list[bytes], most: int) -> None:
    whole = b"".join(pieces)
    assert ending(pieces, most) == (whole[-most:], max(len(whole) - most, 0))


def test_nobody_holds_a_whole_log() -> None:
    """A log of 100 MB, with and without line ends, never needs more than 16 MB of memory."""

    def printed(piece: bytes) -> Iterator[bytes]:
        return (piece for _ in range(1600))

    tracemalloc.start()
    try:
        for piece in (b"x" * (1 << 16), b"a line of some words\n" * 3120):
            assert sum(map(len, whole_lines(printed(piece)))) == 1600 * len(piece)
            assert len(text(printed(piece))) == LONGEST
            assert len(b"".join(last(printed(piece), 3))) <= 3 * (LONGEST + len(piece))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
