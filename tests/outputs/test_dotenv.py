from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from envctl.outputs.dotenv import quoted, text

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text("ab '\"`\\$#=\r\n\t{}üé")
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        ("a b=c", "a b=c"),
        ("postgresql://u:p%2F@h:1/d?x=y", "postgresql://u:p%2F@h:1/d?x=y"),
        ("a'b\"c\\d$e", "a'b\"c\\d$e"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("a#b", "'a#b'"),
        ("a\nb", '"a\\nb"'),
        ('"a"\nb', "'\"a\"\nb'"),
        ("'a'", "\"'a'\""),
        ("grüße", "grüße"),
        ("a\u2028b", "'a\u2028b'"),
        ("it's #1", '"it\'s #1"'),
        ("a\r\nb", '"a\\r\\nb"'),
        ('it\'s "#1" \\', '"it\'s \\"#1\\" \\\\"'),
    ],
)
def test_a_value_is_quoted_only_where_it_must_be(value: str, expected: str) -> None:
    assert quoted(value) == expected


@given(st.dictionaries(KEYS, VALUES))
@example({"A": "\\n", "B": "\\'#\"\n", "C": "'", "D": "\x85", "E": "\x1c", "F": "a\u2028b", "G": "#", "H": "${A}", "I": "export X=1"})
def test_python_dotenv_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "python.env"
    path.write_text(text(values), "utf-8")
    assert dotenv_values(path, interpolate=False) == values


def unlike(value: str) -> bool:
    """Return whether Node reads *value* differently from python-dotenv: if it has an escape, or can only be written with one."""
    return "\\" in value or "\r" in value or len({"'", '"', "`"} & set(value)) > 1 or value != value.strip("\x1c\x1d\x1e\x1f\x85\ufeff")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_node_reads_what_was_written(tmp_path: Path) -> None:
    """All values are in one file, because starting Node takes longer than reading it."""
    samples = [sample for sample in _samples() if not unlike(sample)]
    values = {f"K{number}": sample for number, sample in enumerate(samples)}
    path = tmp_path / "node.env"
    path.write_text(text(values), "utf-8")
    script = "console.log(JSON.stringify(require('util').parseEnv(require('fs').readFileSync(process.argv[1], 'utf8'))))"
    done = subprocess.run(["node", "--no-warnings", "-e", script, str(path)], capture_output=True, text=True, check=False)
    if "parseEnv is not a function" in done.stderr:
        pytest.skip("this Node is too old to read dotenv files")
    assert json.loads(done.stdout) == values


def last_lines(file: str) -> dict[str, str]:
    """Read a file as GitLab and `docker run --env-file` do: line by line, quotes belong to the value, the last line of a name counts."""
    lines = [re.fullmatch(r"(\w+)=(.*)", line) for line in file.splitlines()]
    return {line[1]: line[2].strip() for line in lines if line}


def test_who_knows_no_quotes_reads_the_values_themselves() -> None:
    values = {"A": "two words #1", "B": "grüße", "C": "'quoted'", "D": 'say "#1"', "E": "", "F": "b\\", "G": "a#"}
    assert last_lines(text(values)) == values
    assert dotenv_values(stream=io.StringIO(text(values)), interpolate=False) == values
    assert text({"B": "plain"}) == "B=plain\n", "nothing more where nothing is quoted"
    assert "x='\nA=a $(touch x) #1\nx='\n" in text({"A": "a $(touch x) #1", "x": ""}), "a shell runs nothing of it"
    assert text({"A": "two words #1"}) == "A='two words #1'\n", "nobody can carry it"


@given(st.dictionaries(KEYS, VALUES.filter(lambda value: len(value.splitlines()) < 2 and value == value.strip() and "\0" not in value)))
def test_whatever_fits_into_a_line_is_read_by_all_of_them(values: dict[str, str]) -> None:
    values = {key: value for key, value in values.items() if "'" not in value or not set('"$`\\') & set(value)}
    assert last_lines(text({**values, "PLAIN": "plain"})) == {**values, "PLAIN": "plain"}


def _samples() -> list[str]:
    signs = ["a", " ", "#", "'", '"', "`", "$", "{", "}", "=", "\n", "\t", "ü", "%", "\\", "\r"]
    return ["", *signs, *(a + b for a in signs for b in signs), *(a + b + c for a in signs for b in signs for c in signs)]
