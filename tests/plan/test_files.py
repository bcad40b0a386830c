from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.expressions import ExpressionError
from envctl.definition.kinds import Kind
from envctl.plan.files import contents, read, service_files
from envctl.plan.model import File
from tests.builders import write

SCOPE = {"self": {"port": 1, "on": True, "routes": ["a.json", "b"], "nothing": None}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, {"a.json": "{}", "b/c.json": "[]", "b/d/e.txt": "e", "b/__pycache__/x.pyc": "no", "bin": b"\xff"})
    return tmp_path


def files_of(folder: Path, kind: Kind, files: dict[str, str] | None = None) -> dict[str, File]:
    return service_files(kind, SCOPE, files or {}, lambda text, key: folder / text, lambda path: contents(path, folder))


def texts_of(files: dict[str, File]) -> dict[str, str | None]:
    return {path: file.text for path, file in files.items()}


def test_texts_of_a_kind_are_rendered_and_empty_ones_make_no_file(folder: Path) -> None:
    kind = Kind(
        kind="x",
        files={
            "/a": "port ${self.port} $HOME\n",
            "/b": "{% if not self.on %}x{% endif %}\n \n",
            "/c": "{% if self.on %}\ny\n{% endif %}\n",
        },
    )
    assert files_of(folder, kind) == {"/a": File(text="port 1 $HOME\n"), "/c": File(text="y\n")}


@pytest.mark.parametrize(
    ("mounted", "expected"),
    [
        ("${self.routes}", {"/in/a.json": "{}", "/in/c.json": "[]", "/in/d/e.txt": "e"}),
        ("a.json", {"/in/a.json": "{}"}),
        (["b", "a.json"], {"/in/c.json": "[]", "/in/d/e.txt": "e", "/in/a.json": "{}"}),
        ("${self.nothing}", {}),
        ("${[]}", {}),
    ],
)
def test_mounted_files_lie_below_their_folder(folder: Path, mounted: object, expected: dict[str, str]) -> None:
    assert texts_of(files_of(folder, Kind(kind="x", mounts={"/in": mounted}))) == expected


def test_a_folder_of_this_package_can_be_mounted(folder: Path) -> None:
    found = files_of(folder, Kind(kind="x", mounts={"/opt/stub": "envctl:servers/stub"}))
    assert "/opt/stub/__main__.py" in found
    assert not any("__pycache__" in path for path in found)


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        ("/etc/x.json", "a.json", {"/etc/x.json": "{}"}),
        ("/etc/", "a.json", {"/etc/a.json": "{}"}),
        ("/etc", "b", {"/etc/c.json": "[]", "/etc/d/e.txt": "e"}),
        ("/etc/", "b", {"/etc/c.json": "[]", "/etc/d/e.txt": "e"}),
        ("/bin", "bin", {"/bin": None}),
    ],
)
def test_files_of_the_definition(folder: Path, target: str, source: str, expected: dict[str, str | None]) -> None:
    assert texts_of(files_of(folder, Kind(kind="x"), {target: source})) == expected


def test_the_definition_wins(folder: Path) -> None:
    kind = Kind(kind="x", files={"/etc/a.json": "of the kind"}, mounts={"/etc": "a.json"})
    assert texts_of(files_of(folder, kind, {"/etc/a.json": "b/c.json"})) == {"/etc/a.json": "[]"}


def test_a_text_of_a_kind_that_cannot_be_rendered(folder: Path) -> None:
    with pytest.raises(ExpressionError, match="urll"):
        files_of(folder, Kind(kind="x", files={"/a": "${self.urll}"}))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")))
def test_a_text_stays_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(text.encode())
    assert read(path, path.parent) == File(text=text, source=path, root=path.parent)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"a\r\nb", b"\xed\xa0\x80"])
def test_what_is_no_plain_text_stays_where_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "binary"
    path.write_bytes(content)
    assert read(path, tmp_path) == File(source=path, root=tmp_path)


def test_a_program_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    assert read(path, tmp_path) == File(source=path, root=tmp_path)
