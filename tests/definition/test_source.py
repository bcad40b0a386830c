"""Tests of the YAML reader: the core schema of YAML 1.2, merge keys, and the line of each value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.source import Document, merge, parse, walk
from envctl.definition.yaml_parser import plain_scalar, written

FILE = Path("shop.yaml")

SCALARS = {
    "yes": "yes",
    "on": "on",
    "No": "No",
    "y": "y",
    "true": True,
    "False": False,
    "TRUE": True,
    "~": None,
    "null": None,
    "17": 17,
    "-3": -3,
    "0o17": 15,
    "0x1F": 31,
    "017": 17,
    "22:22": "22:22",
    "190:20:30": "190:20:30",
    "1_000": "1_000",
    "2026-01-02": "2026-01-02",
    "1.5": 1.5,
    "3.10": 3.1,
    "1e3": 1000.0,
    ".5": 0.5,
    ".inf": ".inf",
    "1e999": "1e999",
    "0b11": "0b11",
    "9" * 5000: "9" * 5000,
    "-": "-",
    ".": ".",
    "1.2.3": "1.2.3",
    "=": "=",
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=lambda text: str(text)[:12])
def test_plain_scalars(text: str, value: Any) -> None:
    assert plain_scalar(text) == value
    assert isinstance(plain_scalar(text), type(value))


@pytest.mark.parametrize("text", ["17", "3.10", "0x1F", "007", "1e3", "+5", "-0", "1.", "0.10"])
def test_a_number_remembers_how_it_was_written(text: str) -> None:
    number = plain_scalar(text)
    assert isinstance(number, int | float)
    assert written(number) == text


def tree(text: str) -> dict[str, Any]:
    document = parse(text, FILE)
    assert document.problems == ()
    assert document.tree is not None
    return document.tree


def test_values_and_tags() -> None:
    found = tree("a: '17'\nb: \"on\"\nc: !!str 17\nd: !!float 1\ne: |\n  x\nf: !!int '5'\ng:\nh: ! 5\n")
    assert found == {"a": "17", "b": "on", "c": "17", "d": 1.0, "e": "x\n", "f": 5, "g": None, "h": "5"}


def test_keys_are_texts_as_written() -> None:
    assert tree("17: a\ntrue: b\n3.10: c\non: d\n") == {"17": "a", "true": "b", "3.10": "c", "on": "d"}


def test_merge_keys() -> None:
    found = tree("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  b: 5\n  <<: [*x, *y]\nw: {<<: *x, d: 1}\nq: {'<<': 1}\n")
    assert found["z"] == {"a": 1, "b": 5, "c": 4}
    assert found["w"] == {"a": 1, "b": 2, "d": 1}
    assert found["q"] == {"<<": 1}


def test_a_merge_of_a_merge() -> None:
    found = tree("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\n")
    assert found["c"] == {"x": 1, "y": 2, "z": 3}


def test_lines() -> None:
    source = parse("# first\nname: shop\nservices:\n  db:\n    env:\n      - a\n      - b: 1\n", FILE).source
    assert source.at(("name",)) == (FILE, 2)
    assert source.at(("services", "db", "env")) == (FILE, 5)
    assert source.at(("services", "db", "env", 1)) == (FILE, 7)
    assert source.at(("services", "db", "env", 1, "b")) == (FILE, 7)
    assert source.at(("services", "db", "nothing", "here")) == (FILE, 4)
    assert source.at(("nothing",)) == (FILE, 2)


def test_an_alias_stands_where_it_is_used() -> None:
    source = parse("a: &a\n  x: 1\nb: *a\n", FILE).source
    assert source.at(("b",)) == (FILE, 3)
    assert source.at(("b", "x")) == (FILE, 2)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    from envctl.definition.source import read

    file = tmp_path / "shop.yaml"
    file.write_bytes("\ufeffname: shop\r\n".encode())
    assert read(file, tmp_path).tree == {"name": "shop"}


def document(text: str, name: str) -> Document:
    return parse(text, Path(name))


def test_merged_trees_keep_their_places() -> None:
    base = document("services:\n  db:\n    kind: postgres\n    seed: [a, b, c]\n  mail: {kind: mail}\n", "base.yaml")
    over = document("name: shop\nservices:\n  db:\n    seed: [d]\n  events: {kind: nats}\n", "over.yaml")
    found = merge(base, over)
    assert found.tree == {
        "name": "shop",
        "services": {"db": {"kind": "postgres", "seed": ["d"]}, "mail": {"kind": "mail"}, "events": {"kind": "nats"}},
    }
    assert found.source.at(("services", "db", "kind")) == (Path("base.yaml"), 3)
    assert found.source.at(("services", "db", "seed", 0)) == (Path("over.yaml"), 4)
    assert found.source.at(("services", "db", "seed", 2)) == (Path("over.yaml"), 4)
    assert found.source.at(("services", "mail")) == (Path("base.yaml"), 5)


def test_walk_gives_every_leaf() -> None:
    assert list(walk({"a": [1, {}], "b": {"c": None}})) == [(("a", 0), 1), (("a", 1), {}), (("b", "c"), None)]
