from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.seeding import BadFile
from envctl.seeding.item_files import Item, _Json, items
from tests.builders import step_of


def read(folder: Path, name: str, content: str | bytes, *, spread: bool = True) -> list[Item]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(items(step_of("db", step={"rows": name}, files=(path,)), folder, spread=spread))


def shown(found: list[Item]) -> list[tuple[int, str | None, Any]]:
    return [(int(item.where.rpartition(":")[2]), item.key, item.value) for item in found]


JSON = '{"a": [{"x": 1.10},\n\n {"x": "\\ud83d\\ude00"}],\n "b": [], "c": {"y": null}}'
YAML = "a:\n  - {x: 1.10}\n\n  - x: \U0001f600\nb: []\nc: {y: null}\n"


@pytest.mark.parametrize(("name", "content", "lines"), [("x.json", JSON, (1, 3, 4)), ("x.yaml", YAML, (2, 4, 6))])
@pytest.mark.parametrize("packed", [False, True])
def test_maps_of_lists_are_spread(tmp_path: Path, name: str, content: str, lines: tuple[int, ...], packed: bool) -> None:
    data = gzip.compress(content.encode()) if packed else content.encode()
    found = shown(read(tmp_path, name + ".gz" * packed, data))
    expected = [("a", {"x": 1.1}), ("a", {"x": "\U0001f600"}), ("c", {"y": None})]
    assert found == [(line, *entry) for line, entry in zip(lines, expected, strict=True)]
    assert found[0][2]["x"].text == "1.10", "as it is written: it may go into a text"


@pytest.mark.parametrize(("name", "content"), [("x.json", JSON), ("x.yml", YAML)])
def test_or_stay_whole(tmp_path: Path, name: str, content: str) -> None:
    assert [(item.key, len(item.value)) for item in read(tmp_path, name, content, spread=False)] == [("a", 2), ("b", 0), ("c", 1)]


def test_jsonl_is_an_entry_a_line(tmp_path: Path) -> None:
    assert shown(read(tmp_path, "x.jsonl", '\ufeff{"a": 1}\r\n\n{"a": 2}')) == [(1, None, {"a": 1}), (3, None, {"a": 2})]


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("x.json", '{"a": [\n{"x": 1},\n{"x": }]}', 3, "this is not valid JSON: Expecting value"),
        ("x.json", '{"a": [\n{"x": 1}\n{"x": 2}]}', 3, "a `,` is expected"),
        ("x.json", '[{"x": 1},\n{"x": 1, "x": 2}]', 2, "the key 'x' occurs twice"),
        ("x.json", '[{"x": 1}', 1, "a `,` is expected"),
        ("x.json", '[{"x": NaN}]', 1, "NaN is not valid JSON"),
        ("x.json", "[1]\n[2]", 2, "something follows"),
        ("x.json", '{"a": 1, 2: 3}', 1, "a key is a text"),
        ("x.json", "12", 1, "a map or a list is expected"),
        ("x.json", b'["a",\n"\xff"]', 2, "the byte 0xFF is not valid UTF-8"),
        ("x.json", "[" * 100_000, 1, "nested too deeply"),
        ("x.jsonl", '{"a": 1}\n{"a": 1\n', 2, "this is not valid JSON: Expecting ',' delimiter"),
        ("x.jsonl", b'{"a": 1}\n"\xff"', 2, "the byte 0xFF is not valid UTF-8"),
        ("x.yaml", "a:\n  - x: 1\n  - {x: 2", 3, "not valid YAML"),
        ("x.yaml", "a: []\na: []\n", 2, "the key 'a' occurs twice"),
        ("x.yaml", "a: [&x {b: 1}, *y]", 1, "there is no anchor"),
        ("x.yaml", "only", 1, "a single value"),
        ("x.yaml", b"a: \xff", 1, "the byte 0xFF is not valid UTF-8"),
        ("x.yaml", "# " + "x" * 5_000_001, None, "YAML of more than 5 MB"),
        ("x.toml", "a = 1", None, r"this format is not known; it ends in \.yaml"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, line: int | None, words: str) -> None:
    with pytest.raises(BadFile, match=words) as caught:
        read(tmp_path, name, content)
    assert caught.value.where(tmp_path / name) == str(tmp_path / name) + (f":{line}" if line else "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(st.lists(VALUES), st.sampled_from([None, 1]), st.integers(1, 9))
def test_json_in_any_pieces_is_the_same(values: list[Any], indent: int | None, size: int) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    try:
        text.decode()
    except UnicodeDecodeError:
        return
    assert [value for _, value in _Json(pieces).elements()] == values


def test_json_is_not_held_as_a_whole() -> None:
    reader = _Json([b"[", *[b'{"a": "' + b"x" * 1000 + b'"},\n'] * 2000, b"1]"])
    longest = max(len(reader._text) for _ in reader.elements())
    assert longest < 5000
    assert reader.line == 2001
