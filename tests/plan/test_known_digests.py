"""A large file is hashed only once, until a change is possible; then it is hashed again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from envctl.plan import known_digests as module
from envctl.plan.known_digests import MOST, KnownDigests, known_digests


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the inodes of the files that are hashed; treat every size as large, and every change as long past."""
    found: list[int] = []
    plain = hashlib.file_digest

    def watched(stream: BufferedReader, name: str) -> Any:
        found.append(os.fstat(stream.fileno()).st_ino)
        return plain(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", watched)
    monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.0)
    return found


def digest(digests: KnownDigests, file: Path) -> str:
    with file.open("rb") as stream:
        return digests.of(stream)


def test_what_does_not_fit_is_asked_until_it_does(tmp_path: Path, hashed: list[int]) -> None:
    """A file that fails the check is checked again until it passes; a file whose hash was known before any check is checked, too."""
    file, asked, answers = tmp_path / "seed.sql", list[bytes](), [False, True]

    def fits(stream: BufferedReader) -> bool:
        asked.append(stream.read(2))
        return answers[len(asked) - 1]

    file.write_text("one")
    assert digest(KnownDigests(tmp_path / "cache"), file) == hashlib.sha256(b"one").hexdigest()
    for _ in range(4):
        with file.open("rb") as stream:
            assert KnownDigests(tmp_path / "cache").of(stream, fits) == hashlib.sha256(b"one").hexdigest()
    assert asked == [b"on", b"on"]
    assert len(hashed) == 3


def rewritten(file: Path) -> None:
    file.write_text("two")


def rewritten_at_the_same_time(file: Path) -> None:
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("two")
    other.rename(file)


def test_what_is_known_is_not_read_again(tmp_path: Path, hashed: list[int]) -> None:
    file = tmp_path / "seed.sql"
    file.write_text("one")
    found = [digest(KnownDigests(tmp_path / "cache"), file) for _ in range(3)]
    assert found == [hashlib.sha256(b"one").hexdigest()] * 3
    assert len(hashed) == 1
    assert (tmp_path / "cache/digests.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", [rewritten, rewritten_at_the_same_time, replaced])
def test_a_changed_file_is_hashed_again(tmp_path: Path, hashed: list[int], change: Callable[[Path], None]) -> None:
    file, digests = tmp_path / "seed.sql", KnownDigests(tmp_path / "cache")
    file.write_text("one")
    digest(digests, file)
    time.sleep(0.02)  # File systems record times in steps of a few milliseconds; the settling time covers changes within one step.
    change(file)
    assert digest(digests, file) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_was_just_changed_is_not_remembered(tmp_path: Path, hashed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED_SECONDS", 1000.0)
    file = tmp_path / "seed.sql"
    file.write_text("one")
    for _ in range(2):
        digest(KnownDigests(tmp_path / "cache"), file)
    assert len(hashed) == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path: Path, hashed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    file, plain = tmp_path / "seed.sql", hashlib.file_digest
    file.write_text("one")

    def slow(stream: BufferedReader, name: str) -> Any:
        found = plain(stream, name)
        file.write_text("two")
        return found

    monkeypatch.setattr(hashlib, "file_digest", slow)
    digest(KnownDigests(tmp_path / "cache"), file)
    assert not (tmp_path / "cache/digests.json").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "\0"])
def test_a_damaged_cache_is_no_error(tmp_path: Path, hashed: list[int], content: str) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache/digests.json").write_text(content)
    (tmp_path / "seed.sql").write_text("one")
    assert digest(KnownDigests(tmp_path / "cache"), tmp_path / "seed.sql") == hashlib.sha256(b"one").hexdigest()


def test_what_others_may_have_written_is_not_believed(tmp_path: Path, hashed: list[int]) -> None:
    file, cache = tmp_path / "seed.sql", tmp_path / "cache"
    file.write_text("one")
    digest(KnownDigests(cache), file)
    cache.chmod(0o777)
    known = (cache / "digests.json").read_text()
    (cache / "digests.json").write_text(known.replace(hashlib.sha256(b"one").hexdigest(), "0" * 64))
    assert digest(KnownDigests(cache), file) == hashlib.sha256(b"one").hexdigest()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, hashed: list[int]) -> None:
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "seed.sql").write_text("one")
    assert digest(KnownDigests(tmp_path / "cache"), tmp_path / "seed.sql") == hashlib.sha256(b"one").hexdigest()


def test_the_latest_files_are_remembered(tmp_path: Path, hashed: list[int]) -> None:
    files = [tmp_path / str(number) for number in range(MOST + 1)]
    for file in files:
        file.write_text(file.name)
        digest(KnownDigests(tmp_path / "cache"), file)
    hashed.clear()
    for file in (files[-1], files[0]):
        digest(KnownDigests(tmp_path / "cache"), file)
    assert hashed == [files[0].stat().st_ino]


@pytest.mark.parametrize("environ", [{}, {"HOME": "relative"}])
def test_without_a_home_nothing_is_remembered(tmp_path: Path, hashed: list[int], environ: dict[str, str]) -> None:
    (tmp_path / "seed.sql").write_text("one")
    for _ in range(2):
        digest(known_digests(environ), tmp_path / "seed.sql")
    assert len(hashed) == 2


def test_they_are_kept_with_what_else_is_cached(tmp_path: Path, hashed: list[int]) -> None:
    (tmp_path / "seed.sql").write_text("one")
    digest(known_digests({"XDG_CACHE_HOME": str(tmp_path / "cache")}), tmp_path / "seed.sql")
    assert (tmp_path / "cache/envctl/digests.json").exists()
