"""The first line of a CSV file, which may be compressed and may come from an untrusted project."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from envctl.plan.seeds import LARGEST_HEADER, header


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a, b\n1,2\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b'"a\nb",c\r\n1,2\r\n', ["a\nb", "c"]),
        (b"", []),
        (b'a,b\n1,"' + b"x" * LARGEST_HEADER + b'"\n', ["a", "b"]),
        (b"a,b\n" + b"1," + "\u00fc".encode() * LARGEST_HEADER, ["a", "b"]),
    ],
)
def test_it_names_the_columns(tmp_path: Path, content: bytes, names: list[str]) -> None:
    (tmp_path / "f.csv").write_bytes(content)
    assert header(tmp_path / "f.csv", tmp_path) == names


@pytest.mark.parametrize("letter", [b",", b"a", b'"', b"\x00"])
def test_one_that_is_unpacked_without_an_end_is_not_read_to_it(tmp_path: Path, letter: bytes) -> None:
    with gzip.open(tmp_path / "f.csv.gz", "wb", compresslevel=1) as file:
        for _ in range(30):
            file.write(letter * 1_000_000)
    with pytest.raises(csv.Error, match=r"more than 200 kB|field larger|line contains NUL"):
        header(tmp_path / "f.csv.gz", tmp_path)


def test_what_is_no_text_has_no_header(tmp_path: Path) -> None:
    """A spreadsheet's own file format, for example, is not text."""
    (tmp_path / "f.csv").write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    with pytest.raises(csv.Error, match="line contains NUL"):
        header(tmp_path / "f.csv", tmp_path)
