"""Archives of snapshot data that come from other machines."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from envctl.engines.local.snapshots import read
from envctl.errors import EnvctlError

KEY = "0123456789abcdef" * 2


def archive(file: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(file, "w") as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    return file


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, size
    return found


FOLDER = entry("data", tarfile.DIRTYPE)


def test_files_and_folders_are_taken(tmp_path: Path) -> None:
    file = archive(tmp_path / "f.tar", entry("content", size=3), FOLDER, entry("data/a", size=5))

    assert read(tmp_path / "home", KEY, file) == "xxx"
    assert (tmp_path / "home" / KEY / "data" / "a").read_text() == "xxxxx"


@pytest.mark.parametrize(
    "hostile",
    [
        entry("data/a", tarfile.SYMTYPE, "b"),
        entry("data/a", tarfile.SYMTYPE, "/etc"),
        entry("data/a", tarfile.LNKTYPE, "data/b"),
        entry("data/a", tarfile.FIFOTYPE),
        entry("data/a", tarfile.CHRTYPE),
        entry("../a", size=1),
        entry("data/../../../a", size=1),
    ],
    ids=lambda hostile: f"{hostile.name} {hostile.type.decode()} {hostile.linkname}",
)
def test_whatever_leads_elsewhere_is_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    file = archive(tmp_path / "f.tar", FOLDER, entry("data/b", size=1), hostile)

    with pytest.raises(EnvctlError, match="is not a snapshot"):
        read(tmp_path / "home", KEY, file)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("f.tar", "home")] == []
    assert not (tmp_path / "home" / KEY).exists()


@pytest.mark.parametrize("key", ["..", "../../mine", "a/b", "", ".", "A" * 32, "/tmp"])
def test_a_key_is_no_path(tmp_path: Path, key: str) -> None:
    (tmp_path / "mine").mkdir()

    with pytest.raises(EnvctlError, match="is not the key of a snapshot"):
        read(tmp_path / "home" / "snapshots", key, archive(tmp_path / "f.tar", FOLDER))
    assert (tmp_path / "mine").exists()
