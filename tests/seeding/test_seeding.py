from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.seeding import PIECE, BadFile, pieces, texts


@given(st.integers(0, 3), st.sampled_from([-1, 0, 1]), st.booleans())
def test_pieces_are_the_file(tmp_path_factory: pytest.TempPathFactory, count: int, more: int, packed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / ("large.sql.gz" if packed else "large.sql")
    content = b"x" * max(0, count * PIECE + more)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if packed else content)
    found = list(pieces(path, path.parent))
    assert b"".join(found) == content
    assert all(0 < len(piece) <= PIECE for piece in found)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_texts_may_be_packed_and_begin_with_a_mark(tmp_path: Path, name: str, bom: bytes) -> None:
    path = tmp_path / name
    text = bom + b"a\n" + b"\xef\xbb\xbf" * PIECE
    path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
    assert b"".join(texts(path, path.parent)) == text.removeprefix(bom)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "ended before"),
        (b"no gzip", "Not a gzipped file"),
        (gzip.compress(b"x" * 100, mtime=0)[:-8] + b"\0" * 8, "CRC check failed"),
        (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 9, "invalid"),
        (None, "No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_no_end_of_the_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFile, match=f"it cannot be read: .*{words}") as caught:
        list(pieces(path, path.parent))
    assert caught.value.where(path) == str(path)
    assert not isinstance(caught.value, OSError), "which says to an engine that the command has ended"
