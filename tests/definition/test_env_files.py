"""Tests of the files of `env_file:`: a variable that cannot be read is an error, and is never dropped silently."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from envctl.definition.env_files import variables_of, wrong_lines
from envctl.definition.expressions import evaluate
from envctl.environment import open_environment
from envctl.errors import DefinitionError
from tests.definition.test_compose_file import needs_compose

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
        (b"A=1\rB=2\r", 1, "carriage return"),
        (b'A="1\n2"\n# all of it a comment\rB=2\n', 3, "carriage return"),
        (b"[server]\nA=1\n", 1, "does not set a variable"),
        (b'"A"=1\n', 1, "does not set a variable"),
        (b"A=1\nB+=1\n", 2, "does not set a variable"),
        ("A=1\n\ufeffB=1\n".encode(), 2, "does not set a variable"),
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
    assert variables_of(file, tmp_path, {}) == {"A": "1", "B": "x # y", "C": "a$$b", "E": "l1\nl2"}
    assert variables_of(file, tmp_path, {"D": "mine", "A": "2"}) == {"A": "1", "B": "x # y", "C": "a$$b", "D": "mine", "E": "l1\nl2"}


def test_a_carriage_return_in_a_value_or_twice_at_a_line_s_end_is_nobody_s_loss(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b'A="x\ry"\r\r\nB=2\r\n')
    assert list(wrong_lines(file, tmp_path)) == []
    assert variables_of(file, tmp_path, {}) == {"A": "x\ry", "B": "2"}


WRONG = [
    (b"A=1\rB=2\r", 1, "carriage return"),
    (b"A=1\nB=2\rC=3\n", 2, "carriage return"),
    (b"A=1\nB=2\0\n", 2, "binary"),
    ("A=1\nNAME=Zo\xeb\n".encode("latin-1"), 2, "0xEB is not valid UTF-8"),
    ("A=1\n".encode("utf-16"), 1, "UTF-16"),
    ("A=1\n".encode("utf-16-le"), 1, "binary"),
    (b"A=1\nhello world\nB=2\n", 2, "key cannot contain a space"),
    (b'A=1\nB="x\n\nC=3\n', 2, "unterminated quoted value"),
    (b"# ${Z\nA=1\nB=${Z\n", 3, "Invalid template"),
    (b"A=1\nB=${Z:?no}\n", 2, "required variable Z"),
    (KEY.encode() + b"\n", 3, "key cannot contain a space"),
    (KEY.encode(), 3, "without a name"),
    (b"A=1\nHOME", 2, "without a name"),
    (b'A="1\n=2"\n =3\n', 3, "without a name"),
]


def of_compose(folder: Path, content: bytes, name: str) -> None:
    (folder / "compose.yaml").write_text(
        "services: {a: {image: x:1, env_file: [fine.env, e.env]}, b: {image: x:1, env_file: [fine.env]}}\n"
    )
    (folder / "include.yaml").write_text("include: [{path: compose.yaml, env_file: i.env}]\nservices: {c: {image: x:1}}\n")
    for each in ("fine.env", "e.env", "i.env"):
        (folder / each).write_text("FINE=1\n")
    (folder / name).write_bytes(content)


@needs_compose
@pytest.mark.parametrize(("content", "line", "message"), WRONG)
def test_of_a_service_in_a_compose_file(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    of_compose(tmp_path, content, "e.env")
    with pytest.raises(DefinitionError, match=rf"e\.env:{line}: .*{message}"):
        open_environment("compose.yaml", cwd=tmp_path, environ={})


@needs_compose
@pytest.mark.parametrize(
    ("file", "name"), [("compose.yaml", ".env"), ("include.yaml", "i.env"), ("include.yaml", "e.env"), ("include.yaml", ".env")]
)
@pytest.mark.parametrize(("content", "line", "message"), [WRONG[1], WRONG[3], WRONG[6], WRONG[7]])
def test_wherever_compose_reads_one(tmp_path: Path, file: str, name: str, content: bytes, line: int, message: str) -> None:
    of_compose(tmp_path, content, name)
    with pytest.raises(DefinitionError, match=rf"{name}:{line}: .*{message}"):
        open_environment(file, cwd=tmp_path, environ={})


ACCEPTED = (
    "\ufeffA=1\r\nexport B=2\r\r\n# comment\r\n  # another\r\nEMPTY=\r\nBARE\r\nexport BARE2\r\nNOWHERE\r\nD=${NOWHERE:-y}\r\nE=${A}\r\n"
    'F=\'$A\'\r\nG="a # b" # c\r\nH=a#b #c\r\nI: yaml\r\nJ = spaced \r\nK="l1\r\nl2"\r\nL=\'it\\\'s\'\r\nM="x\\ny"\r\nN.O-P=1\r\n'
    'Q=a$$b\r\nR={"x": [1]}\r\nS="x\ry"\r\nT=${BARE:+set}\r\nX=\u00e9\r\nA=3\r\nlast=\u2028'
)


@needs_compose
def test_what_compose_accepts_has_the_values_of_compose(tmp_path: Path) -> None:
    of_compose(tmp_path, ACCEPTED.encode(), "e.env")
    environ = {"PATH": os.environ["PATH"], "BARE": "from here", "BARE2": "too"}
    ran = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    expected = {key: value.replace("$$", "$") for key, value in json.loads(ran.stdout)["services"]["a"]["environment"].items()}
    assert (expected["A"], expected["BARE"], expected["D"], expected["K"]) == ("3", "from here", "y", "l1\r\nl2")
    service = open_environment("compose.yaml", cwd=tmp_path, environ=environ).definition.services["a"]
    assert {key: evaluate(value or "", {}) for key, value in service.env.items()} == expected
