"""Files of `env_file:`: no variable of them is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.env_files import variables_of, wrong_lines
from envctl.environment import open_environment
from envctl.errors import DefinitionError

KEY = "TOKEN=-----BEGIN KEY-----\nabc\n-----END KEY-----"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b'REGION=eu\nTOKEN="never closed\nLAST=1\n', 2, "does not set a variable"),
        (b'\n# c\nTOKEN="a"b\n', 3, "does not set a variable"),
        (b"REGION=eu\r\nTOKEN: as in YAML\r\n", 2, "does not set a variable"),
        (KEY.encode(), 3, "does not set a variable"),
        ("A=1\n".encode("utf-16"), 1, "UTF-16"),
        (b"A=1\nB=\xe9\n", 2, "0xE9 is not valid UTF-8"),
        (b"A=1\nB=\0\n", 2, "binary"),
    ],
)
def test_a_line_that_cannot_be_read(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    file = tmp_path / "settings.env"
    file.write_bytes(content)
    (problem,) = wrong_lines(file, tmp_path)
    assert (problem.file.name, problem.line) == ("settings.env", line)
    assert message in problem.message
    (tmp_path / "e.yaml").write_text("name: e\nservices: {a: {image: x:1, env_file: settings.env}}\n")
    with pytest.raises(DefinitionError, match=rf"settings\.env:{line}: "):
        open_environment("e.yaml", cwd=tmp_path, environ={})


def test_what_everybody_reads(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes('\ufeffA=1\r\n\r\nexport B="x # y" # z\r\nC=a$$b\nD\nE="l1\nl2"\n'.encode())
    assert list(wrong_lines(file, tmp_path)) == []
    assert variables_of(file, tmp_path) == {"A": "1", "B": "x # y", "C": "a$$b", "E": "l1\nl2"}
