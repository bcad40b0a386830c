from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from envctl.files.packed import NotUnpacked, _zstd, open_unpacked, plain_name, with_packed

zstd = _zstd()
TEXT = b"some text, " * 5000
PACKED = {
    "x.gz": gzip.compress(TEXT, mtime=0),
    "x.zst": zstd.compress(TEXT),
    "x.two.zst": zstd.compress(TEXT[:10]) + zstd.compress(TEXT[10:]),
}


@pytest.mark.parametrize("name", ["x.txt", *PACKED])
def test_the_name_says_how_it_is_packed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED.get(name, TEXT))
    with open_unpacked(tmp_path / name, tmp_path) as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("name", ["x.gz", "x.zst"])
@pytest.mark.parametrize("content", [None, b"no archive at all"])
def test_what_is_cut_off_or_something_else_is_no_end_of_the_file(tmp_path: Path, name: str, content: bytes | None) -> None:
    (tmp_path / name).write_bytes(content or PACKED[name][:-4])
    with pytest.raises(NotUnpacked), open_unpacked(tmp_path / name, tmp_path) as stream:
        stream.read()


def test_names() -> None:
    assert with_packed(".sql") == (".sql", ".sql.gz", ".sql.zst")
    assert [plain_name(Path(name)) for name in ("a.json", "b.jsonl.gz", "c.yaml.zst")] == ["a.json", "b.jsonl", "c.yaml"]
