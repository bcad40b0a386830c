from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.outputs.properties import text

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text(" \t\f\\=:#!\n\rüa𝄞")
NAMED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def loaded(written: str) -> dict[str, str]:
    """Read properties as java.util.Properties.load does, for a file without continuation lines."""
    assert written.isascii()
    found = {}
    for line in written.splitlines():
        stripped = line.lstrip(" \t\f")
        if stripped and stripped[0] not in "#!":
            key, value = re.fullmatch(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", stripped).groups()  # type: ignore[union-attr]
            found[unescaped(key)] = unescaped(value)
    return found


def unescaped(value: str) -> str:
    def character(match: re.Match[str]) -> str:
        return chr(int(match.group(1), 16)) if match.group(1) else NAMED.get(match.group(2), match.group(2))

    units = re.sub(r"\\(?:u([0-9a-f]{4})|(.))", character, value)
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@given(st.dictionaries(TEXT, TEXT))
def test_what_was_written_is_read(values: dict[str, str]) -> None:
    assert loaded(text(values)) == values


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a b", "a b"), (" a", "\\ a"), ("a=b:c#d!", "a\\=b\\:c\\#d\\!"), ("ü", "\\u00fc"), ("𝄞", "\\ud834\\udd1e"), ("a\\\n", "a\\\\\\n")],
)
def test_values(value: str, expected: str) -> None:
    assert text({"k": value}) == f"k={expected}\n"


READER = """
import java.io.*;
import java.util.*;
class Read {
    public static void main(String[] names) throws Exception {
        Properties read = new Properties();
        try (InputStream in = new FileInputStream(names[0])) { read.load(in); }
        StringBuilder shown = new StringBuilder();
        for (String key : new TreeMap<>(Map.copyOf(read)).keySet().toArray(new String[0]))
            for (char unit : (key + "\\0" + read.getProperty(key) + "\\0").toCharArray()) shown.append(String.format("%04x", (int) unit));
        System.out.print(shown);
    }
}
""".replace("new TreeMap<>(Map.copyOf(read)).keySet()", "new TreeSet<>(read.stringPropertyNames())")


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java here")
def test_java_reads_what_was_written(tmp_path: Path) -> None:
    values = {"A": " a=b:c#d! \\ \t\n\r\f", "b c": "ü𝄞", "=:#": "", "#x": "'\"$${x}", "Z": "\x00\x85\u2028"}
    (tmp_path / "Read.java").write_text(READER)
    (tmp_path / "x.properties").write_text(text(values), "ascii")
    done = subprocess.run(["java", "-Xint", str(tmp_path / "Read.java"), str(tmp_path / "x.properties")], capture_output=True, check=True)
    parts = bytes.fromhex(done.stdout.decode()).decode("utf-16-be")
    expected = "".join(f"{key}\0{values[key]}\0" for key in sorted(values))
    assert parts == expected
